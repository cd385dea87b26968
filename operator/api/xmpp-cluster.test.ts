/** The CRD on a real API server: what it accepts, what it refuses, and what it says. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KubeObject } from "../kube/contract.ts";
import { KubeError } from "../kube/errors.ts";
import { connect, createNamespace } from "../kube/testing/api-server.ts";
import { API_VERSION, KIND } from "./names.ts";
import { example, installCrd, minimal } from "./testing/clusters.ts";
import type { XmppCluster } from "./xmpp-cluster.ts";

const { kube, close } = connect();
let namespace = "";

beforeAll(async () => {
  await installCrd(kube);
  namespace = await createNamespace(kube);
});
afterAll(close);

async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof KubeError)) throw new Error("Cannot see a refusal: it was accepted");
  expect(error.reason).toBe("Invalid");
  return error.message;
}

const spec = (name: "minimal" | "full" = "minimal") => example(name).spec as Record<string, object>;
const etcd = (over: object) => ({ etcd: { ...spec().etcd, ...over } });
const cassandra = (over: object) => ({ cassandra: { ...spec().cassandra, ...over } });
const update = (over: object) => ({ update: over });

describe("accepts", () => {
  test.each(["minimal", "full"] as const)("%s.yaml", async (name) => {
    const wish = { ...example(name), metadata: { name, namespace } };
    const { kind } = await kube.create(wish);
    expect(kind).toBe("created");
  });

  test("and fills in the defaults", async () => {
    await kube.create(minimal(namespace, {}, "defaults"));
    const read = await kube.get<XmppCluster>(API_VERSION, KIND, { namespace, name: "defaults" });
    expect(read?.spec).toMatchObject({
      replicas: 3,
      image: { pullPolicy: "IfNotPresent" },
      update: {
        maxSurge: 1,
        maxUnavailable: 0,
        drain: { deadlineSeconds: 60, disconnectsPerSecond: 200 },
        progressDeadlineSeconds: 600,
      },
      service: { type: "ClusterIP" },
      tls: { endsAt: "Node" },
    });
  });

  test("any option of the nodes that is not the operator's, unpruned", async () => {
    const config = {
      registration: { enabled: true },
      modules: { muc: { deep: [1, { er: true }] } },
      c2s: { connectionsMax: 7, proxied: { port: 5224 } },
    };
    await kube.create(minimal(namespace, { config }, "config"));
    const read = await kube.get<XmppCluster>(API_VERSION, KIND, { namespace, name: "config" });
    expect(read?.spec).toMatchObject({ config });
  });

  test.each(["1.2.3", "0.10.0-rc.1", "12.0.0-20260101"])("version %s", async (version) => {
    const name = `v-${version.replaceAll(".", "-")}`;
    expect((await kube.create(minimal(namespace, { version }, name))).kind).toBe("created");
  });
});

const WRONG: readonly (readonly [string, object, string | RegExp])[] = [
  ["no version", { version: undefined }, "spec.version: Required value"],
  ["a version that is none", { version: "latest" }, "version must be like 2.4.1 or 2.4.1-rc.1"],
  ["a version with a leading v", { version: "v1.0.0" }, "version must be like 2.4.1"],
  ["a version no tag can be", { version: "1.0.0+build" }, "version must be like 2.4.1"],
  ["no nodes", { replicas: 0 }, "spec.replicas in body should be greater than or equal to 1"],
  ["too many nodes", { replicas: 101 }, "should be less than or equal to 100"],
  ["half a node", { replicas: 1.5 }, /spec.replicas.*must be of type integer/],
  ["no domain", { domains: [] }, "spec.domains in body should have at least 1 items"],
  ["a domain twice", { domains: ["a.example", "a.example"] }, /spec.domains\[1\]: Duplicate value/],
  ["a domain in capitals", { domains: ["Example.org"] }, /spec.domains\[0\].*should match/],
  ["a domain with a blank", { domains: ["a b.example"] }, /spec.domains\[0\].*should match/],
  [
    "too many domains",
    { domains: Array.from({ length: 51 }, (_, n) => `d${n}.example`) },
    "must have at most 50 items",
  ],
  ["an image with a tag", { image: { repository: "zonda-node:1.0.0" } }, "spec.image.repository"],
  [
    "a digest that is none",
    { image: { repository: "a", digest: "sha256:12" } },
    "spec.image.digest",
  ],
  ["no etcd", { etcd: undefined }, "spec.etcd: Required value"],
  ["an etcd endpoint without scheme", etcd({ endpoints: ["etcd:2379"] }), "spec.etcd.endpoints[0]"],
  ["an etcd prefix that is no path", etcd({ prefix: "zonda" }), "spec.etcd.prefix"],
  ["no Cassandra", { cassandra: undefined }, "spec.cassandra: Required value"],
  ["a keyspace with a dash", cassandra({ keyspace: "my-space" }), "spec.cassandra.keyspace"],
  ["no copies", cassandra({ replicationFactor: 0 }), "spec.cassandra.replicationFactor"],
  ["a Secret's name that is none", { tls: { secretName: "A_B" } }, "spec.tls.secretName"],
  [
    "an update that can replace nothing",
    update({ maxSurge: 0 }),
    "maxSurge and maxUnavailable can not both be 0: no node could ever be replaced",
  ],
  ["a negative surge", update({ maxSurge: -1 }), "spec.update.maxSurge"],
  [
    "a drain of more than an hour",
    update({ drain: { deadlineSeconds: 3601 } }),
    "should be less than or equal to 3600",
  ],
  [
    "a service type that is none",
    { service: { type: "External" } },
    /Unsupported value: "External"/,
  ],
  [
    "a quantity that is none",
    { resources: { limits: { memory: "lots" } } },
    "spec.resources.limits",
  ],
  [
    "domains among the options",
    { config: { domains: ["a.example"] } },
    "domains can not be given here: set spec.domains instead",
  ],
  ["a store among the options", { config: { store: {} } }, "set spec.cassandra instead"],
  ["routes among the options", { config: { routes: {} } }, "set spec.etcd instead"],
  ["a mesh among the options", { config: { mesh: {} } }, "mesh can not be given here"],
  ["a drain among the options", { config: { drain: {} } }, "set spec.update.drain instead"],
  ["a port among the options", { config: { c2s: { port: 1 } } }, "5222 and 5223 are open"],
  [
    "direct TLS among the options",
    { config: { c2s: { directTls: {} } } },
    "5222 and 5223 are open",
  ],
  [
    "a certificate for a domain of nobody",
    { tls: { domains: [{ domain: "other.example", secretName: "own" }] } },
    "tls.domains names a domain that is not in domains",
  ],
  ["a port for web clients", { config: { web: { port: 1 } } }, "5443 is open"],
  [
    "a proxy of one's own besides the operator's",
    { tls: { endsAt: "Proxy" }, config: { c2s: { proxied: { port: 5224 } } } },
    "config.c2s.proxied is the operator's where tls.endsAt is Proxy",
  ],
  ["TLS that ends nowhere", { tls: { endsAt: "Client" } }, /Unsupported value: "Client"/],
  ["options that are no map", { config: "registration" }, "must be of type object"],
];

describe("refuses", () => {
  test.each(WRONG)("%s, and says why", async (_, over, message) => {
    const wish = minimal(namespace, over, "wrong");
    expect(await refusal(kube.create(wish))).toMatch(message);
  });

  test.each(["1chat", "a.b", "a".repeat(41)])("the name %s", async (name) => {
    expect(await refusal(kube.create(minimal(namespace, {}, name)))).toMatch(
      "metadata.name must be at most 40 characters",
    );
  });
});

const change = (name: string, over: object): Promise<KubeObject> =>
  kube.patch(
    { apiVersion: API_VERSION, kind: KIND, metadata: { namespace, name } },
    { spec: over },
  );

describe("changes", () => {
  beforeAll(async () => {
    await kube.create(minimal(namespace, etcd({ prefix: "/a/" }), "change"));
    const digest = `sha256:${"0".repeat(64)}`;
    await kube.create(minimal(namespace, { image: { repository: "a", digest } }, "pinned"));
    await kube.create(minimal(namespace, {}, "unprefixed"));
  });

  test("the keyspace can not change, because the accounts are in it", async () => {
    expect(await refusal(change("change", { cassandra: { keyspace: "other" } }))).toMatch(
      "keyspace can not change: accounts and messages are in the old one",
    );
  });

  test.each([{ prefix: "/b/" }, { prefix: null }])(
    "etcd %o can not become the prefix",
    async (to) => {
      expect(await refusal(change("change", { etcd: to }))).toMatch("etcd.prefix can not change");
    },
  );

  test("a prefix can not be added later", async () => {
    expect(await refusal(change("unprefixed", { etcd: { prefix: "/c/" } }))).toMatch(
      "etcd.prefix can not change",
    );
  });

  test("etcd's endpoints and Cassandra's contact points can change", async () => {
    const etcdNow = { endpoints: ["https://other:2379"] };
    const changed = await change("change", { etcd: etcdNow, cassandra: { contactPoints: ["b"] } });
    expect(changed.spec).toMatchObject({ etcd: { ...etcdNow, prefix: "/a/" } });
  });

  test("a version with the digest of another is refused, without a digest it is not", async () => {
    expect(await refusal(change("pinned", { version: "0.2.0" }))).toMatch(
      "version changes but image.digest stays",
    );
    await change("pinned", { version: "0.2.0", image: { digest: null } });
  });

  test("the version can change again before it is done, and can always go back", async () => {
    const reference = {
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: { namespace, name: "change" },
    };
    await kube.patch(
      reference,
      { status: { version: "0.1.0", phase: "Updating" } },
      { subresource: "status" },
    );
    for (const version of ["0.2.0", "0.3.0-broken", "0.1.0"]) {
      expect((await change("change", { version })).spec).toMatchObject({ version });
    }
  });

  test("the scale subresource changes replicas, reports them, and keeps to the bounds", async () => {
    const reference = {
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: { namespace, name: "change" },
    };
    const status = { replicas: 2, selector: "a=b" };
    await kube.patch(reference, { status }, { subresource: "status" });
    const scaled = await kube.patch(reference, { spec: { replicas: 5 } }, { subresource: "scale" });
    expect(scaled).toMatchObject({ kind: "Scale", spec: { replicas: 5 }, status });
    const read = await kube.get<XmppCluster>(API_VERSION, KIND, { namespace, name: "change" });
    expect(read?.spec).toMatchObject({ replicas: 5 });
    const tooMany = kube.patch(reference, { spec: { replicas: 500 } }, { subresource: "scale" });
    expect(await refusal(tooMany)).toMatch("should be less than or equal to 100");
  });
});
