import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { configurationSchema } from "../../node/config/schema.ts";
import { clusterOf, example } from "../api/testing/clusters.ts";
import type { Cluster } from "../api/xmpp-cluster.ts";
import type { KubeObject } from "../kube/contract.ts";
import { configMap } from "./config-map.ts";
import type { Kind } from "./kinds.ts";
import { KINDS } from "./kinds.ts";
import { clusterOf as ownerOf } from "./names.ts";
import { networkPolicy } from "./network-policy.ts";
import { podDisruptionBudget } from "./pod-disruption-budget.ts";
import { replicaSet } from "./replica-set.ts";
import { revisionOf } from "./revision.ts";
import { secret } from "./secret.ts";
import { serviceAccount } from "./service-account.ts";
import { clientsService, meshService, serversService, webService } from "./services.ts";

// biome-ignore lint/suspicious/noExplicitAny: read from YAML.
type Json = any;

const full = clusterOf(example("full"));
const minimal = clusterOf(example("minimal"));

function everything(cluster: Cluster): readonly KubeObject[] {
  const revision = revisionOf(cluster);
  const budget = podDisruptionBudget(cluster);
  return [
    serviceAccount(cluster),
    configMap(cluster, revision),
    replicaSet(cluster, revision),
    clientsService(cluster),
    webService(cluster),
    serversService(cluster),
    meshService(cluster),
    networkPolicy(cluster),
    ...(budget === undefined ? [] : [budget]),
  ];
}

const withSpec = (over: object): Cluster => ({ ...minimal, spec: { ...minimal.spec, ...over } });
const withTls = (over: object) => ({ tls: { ...minimal.spec.tls, ...over } });

describe("the objects of a cluster", () => {
  // A difference here reaches every cluster: new nodes of an old revision come up differently.
  test.each([
    ["minimal", minimal],
    ["full", full],
  ] as const)("of %s.yaml are as they were", async (name, cluster) => {
    const text = everything(cluster).map((object) => stringify(object, { lineWidth: 0 }));
    await expect(text.join("---\n")).toMatchFileSnapshot(`golden/${name}.yaml`);
  });

  test("hand the access key for uploads to the nodes, and to nobody else", () => {
    const pods = stringify(replicaSet(withSpec({ upload: { secretName: "bucket" } }), "r"));
    for (const [variable, key] of [
      ["ZONDA_UPLOAD_S3_ACCESS_KEY_ID", "accessKeyId"],
      ["ZONDA_UPLOAD_S3_SECRET_ACCESS_KEY", "secretAccessKey"],
    ]) {
      const reference = `name: ${variable}\n +valueFrom:\n +secretKeyRef:\n +name: bucket\n +key: ${key}\n`;
      expect(pods).toMatch(new RegExp(reference));
    }
    expect(stringify(replicaSet(minimal, "r"))).not.toContain("UPLOAD");
  });

  test("are all owned by the cluster and found by its label", () => {
    for (const { metadata } of everything(full)) {
      expect(metadata.ownerReferences).toMatchObject([{ kind: "XmppCluster", uid: "1-2-3" }]);
      expect(metadata.labels).toMatchObject({ "xmpp.zonda.dev/cluster": "chat" });
    }
  });

  test("tell their cluster by their name alone, whatever dashes it has", () => {
    const cluster = { ...minimal, name: "my-chat-1" };
    for (const { kind, metadata } of everything(cluster)) {
      const key = { namespace: "example", name: metadata.name };
      expect(ownerOf(kind as Kind, key)).toEqual({ namespace: "example", name: "my-chat-1" });
    }
    const pod = { namespace: "example", name: `my-chat-1-${revisionOf(cluster)}-x2k4p` };
    expect(ownerOf("Pod", pod).name).toBe("my-chat-1");
  });

  test("have the API version that the operator watches", () => {
    for (const { kind, apiVersion } of everything(full)) {
      expect(apiVersion).toBe(KINDS[kind as Kind]);
    }
  });

  test("of a single node are without a disruption budget", () => {
    expect(podDisruptionBudget(withSpec({ replicas: 1 }))).toBeUndefined();
  });

  test("fit into what Kubernetes allows for the longest name", () => {
    const name = "a".repeat(40);
    for (const { metadata } of everything({ ...minimal, name })) {
      expect(`${metadata.name}-x2k4p`.length).toBeLessThanOrEqual(63);
    }
  });

  test("never mount the authority's key", () => {
    const template = JSON.stringify(replicaSet(minimal, "r").spec.template);
    expect(template).toContain("chat-mesh");
    expect(template).not.toContain("chat-ca");
  });

  test("hold passwords only as references", () => {
    const container = JSON.stringify(replicaSet(full, "r"));
    expect(container).toContain('"secretKeyRef":{"name":"chat-etcd","key":"password"}');
    expect(container).toContain('"secretKeyRef":{"name":"chat-cassandra","key":"username"}');
  });

  test("give a proxy certificates and its own files, and nothing of the mesh", () => {
    const cluster = withSpec(withTls({ endsAt: "Proxy" }));
    const { volumes } = parse(stringify(replicaSet(cluster, "r"))).spec.template.spec;
    const { sources } = volumes.find(({ name }: { name: string }) => name === "proxy").projected;
    const files = sources.flatMap(({ secret, configMap: { items } = secret }: Json) =>
      (items as { path: string }[]).map(({ path }) => path),
    );
    const own = ["haproxy.cfg", "certificates.list", "certificates.lua"];
    expect(files).toEqual([...own, "tls/tls.crt", "tls/tls.key"]);
    expect(Object.keys(configMap(cluster, "r").data)).toEqual(["zonda.yaml", ...own]);
    expect(Object.keys(configMap(minimal, "r").data)).toEqual(["zonda.yaml"]);
  });

  test("keep certificates as Kubernetes expects them", () => {
    const pems = { authority: "A", certificate: "C", key: "K" };
    expect(secret(minimal, "chat-mesh", pems)).toMatchObject({
      type: "kubernetes.io/tls",
      data: { "ca.crt": "QQ==", "tls.crt": "Qw==", "tls.key": "Sw==" },
    });
  });
});

describe("the configuration of the nodes", () => {
  const settings = (cluster: Cluster) => parse(configMap(cluster, "r").data["zonda.yaml"] ?? "");

  test("is what a person added, with the operator's own on top", () => {
    expect(settings(full)).toMatchObject({
      registration: { enabled: true },
      c2s: { connectionsPerAddressMax: 50, port: 5222 },
      drain: { deadlineSeconds: 600, disconnectsPerSecond: 200 },
    });
  });

  test.each([
    ["minimal", minimal],
    ["full", full],
  ] as const)("is one that nodes accept: %s.yaml", (_, cluster) => {
    const read = configurationSchema({}).safeParse(settings(cluster));
    expect(read.error?.issues ?? []).toEqual([]);
  });

  test("cannot be turned against the operator, even where an old CRD lets it pass", () => {
    const config = { mesh: { tls: { key: "/other" } }, http: { port: 1 }, c2s: { port: 2 } };
    expect(settings(withSpec({ config }))).toMatchObject({
      mesh: { tls: { key: "/etc/zonda/mesh/tls.key" } },
      http: { port: 8080 },
      c2s: { port: 5222 },
    });
  });

  test("names the certificates of single domains, which the pod finds in their Secrets", () => {
    const domains = [{ domain: "chat.example.org", secretName: "own" }];
    const cluster = withSpec({ tls: { domains } });
    const folder = "/etc/zonda/domains/chat.example.org";
    const wanted = { certificate: `${folder}/tls.crt`, key: `${folder}/tls.key` };
    expect(settings(cluster).tls.domains).toEqual({ "chat.example.org": wanted });
    expect(configurationSchema({}).safeParse(settings(cluster)).success).toBe(true);
    const items = ["tls.crt", "tls.key"].map((key) => ({
      key,
      path: `domains/chat.example.org/${key}`,
    }));
    const volumes = stringify(replicaSet(cluster, "r"));
    expect(parse(volumes).spec.template.spec.volumes[0].projected.sources).toContainEqual({
      secret: { name: "own", items },
    });
  });

  test("leaves 5223 to the proxy where TLS ends there, and believes nobody but it", () => {
    expect(settings(minimal).c2s).toEqual({ port: 5222, directTls: { port: 5223 } });
    const config = { c2s: { proxied: { port: 1, trustedProxies: ["0.0.0.0/0"] } } };
    expect(settings(withSpec({ ...withTls({ endsAt: "Proxy" }), config })).c2s).toEqual({
      port: 5222,
      proxied: { port: 5224, trustedProxies: ["127.0.0.1"] },
    });
  });

  test("gives Cassandra its usual port and etcd a prefix of the cluster's own", () => {
    expect(settings(minimal)).toMatchObject({
      store: { cassandra: { contactPoints: ["cassandra:9042"] } },
      routes: { etcd: { prefix: "/zonda/example/chat/" } },
    });
  });
});

describe("the configuration of the proxy", () => {
  const files = (cluster: Cluster) => configMap(cluster, "r").data;
  const proxied = (over: object = {}, tls: object = {}) =>
    files(withSpec({ ...withTls({ endsAt: "Proxy", ...tls }), ...over }));

  test("has as many connections as its node takes", () => {
    const most = (over?: object) =>
      /fd-hard-limit (.*)/.exec(proxied(over)["haproxy.cfg"] ?? "")?.[1];
    expect(most()).toBe("38200");
    expect(most({ config: { c2s: { connectionsMax: 7 } } })).toBe("214");
    expect(most({ config: { c2s: { connectionsMax: "many" } } })).toBe("38200");
  });

  test("shows each domain its own certificate", () => {
    const domains = [{ domain: "chat.example.org", secretName: "own" }];
    expect(proxied({}, { domains })["certificates.list"]).toBe(
      "/etc/zonda-proxy/tls/tls.crt !*\n" +
        "/etc/zonda-proxy/domains/chat.example.org/tls.crt chat.example.org\n",
    );
  });
});

describe("a revision", () => {
  // Other operators gave these names to ReplicaSets that run: another name replaces every node.
  test("of a spec keeps its name for ever", () => {
    expect(revisionOf(minimal)).toBe("9f6866014a");
    const { endsAt: _, proxyResources: __, ...tls } = full.spec.tls; // They came later.
    const before = { ...full, spec: { ...full.spec, tls } } as Cluster;
    expect(revisionOf(before)).toBe("3772830a4a");
    expect(revisionOf(full)).toBe("226a07233e");
  });

  test.each([
    ["replicas", { replicas: 7 }],
    ["the pace of updates", { update: { ...minimal.spec.update, maxSurge: 3, maxUnavailable: 1 } }],
    ["the Services", { service: { type: "LoadBalancer" } }],
    ["a proxy there is not", withTls({ proxyResources: { limits: { memory: "1Gi" } } })],
    ["a part of the spec that is empty", { config: {}, resources: { limits: {} } }],
  ])("is the same whatever %s", (_, over) => {
    expect(revisionOf(withSpec(over))).toBe(revisionOf(minimal));
  });

  test.each([
    ["version", { version: "0.1.1" }],
    ["image", { image: { ...minimal.spec.image, repository: "other" } }],
    ["domains", { domains: ["a.example"] }],
    ["configuration", { config: { registration: { enabled: true } } }],
    ["etcd", { etcd: { ...minimal.spec.etcd, secretName: "a" } }],
    ["Cassandra", { cassandra: { ...minimal.spec.cassandra, contactPoints: ["b"] } }],
    ["certificate", { tls: { secretName: "a" } }],
    ["place where TLS ends", withTls({ endsAt: "Proxy" })],
    ["access key for uploads", { upload: { secretName: "a" } }],
    ["resources", { resources: { limits: { memory: "1Gi" } } }],
    [
      "drain",
      {
        update: { ...minimal.spec.update, drain: { deadlineSeconds: 5, disconnectsPerSecond: 1 } },
      },
    ],
  ])("is another with another %s", (_, over) => {
    expect(revisionOf(withSpec(over))).not.toBe(revisionOf(minimal));
  });

  test("does not depend on the order of keys, nor on the cluster's name", () => {
    const turned = { b: { d: 1, c: [2, { f: 3, e: 4 }] }, a: null };
    const straight = { a: null, b: { c: [2, { e: 4, f: 3 }], d: 1 } };
    expect(revisionOf(withSpec({ config: turned }))).toBe(
      revisionOf({ ...withSpec({ config: straight }), name: "other", uid: "9" }),
    );
  });
});
