/** The whole reconcile on a real API server, with Kubernetes' own controllers played by the test. */
import { X509Certificate } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { API_VERSION, KIND } from "../api/names.ts";
import type { ClusterStatus } from "../api/status.ts";
import { installCrd, minimal } from "../api/testing/clusters.ts";
import type { XmppCluster } from "../api/xmpp-cluster.ts";
import type { Secret } from "../build/kinds.ts";
import type { EventRecord, KubeObject } from "../kube/contract.ts";
import {
  connect,
  createNamespace,
  silentInformerMetrics,
  silentLog,
  until,
} from "../kube/testing/api-server.ts";
import { systemClock } from "../loop/clock.ts";
import type { Operation } from "./operation.ts";
import { createOperation } from "./operation.ts";
import { Machinery } from "./testing/machinery.ts";

const { kube, close } = connect();
const operator = connect(undefined, { fieldManager: "zonda-operator" });
const clock = { ...systemClock, nowMs: () => Date.now() + aheadMs };
let aheadMs = 0;
let namespace = "";
let machinery: Machinery;
let operation: Operation;
const events: EventRecord[] = [];

function startOperation(): Operation {
  const made = createOperation({
    kube: operator.kube,
    source: operator.kube,
    events: { record: (event) => events.push(event) },
    namespace,
    clock,
    random: () => 0.5,
    log: silentLog,
    metrics: { ...silentInformerMetrics, pass() {}, queueDepth() {}, observe() {} },
  });
  made.start(new AbortController().signal);
  return made;
}

beforeAll(async () => {
  await installCrd(kube);
  namespace = await createNamespace(kube);
  // From here on every pod that is not restricted is refused.
  const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
  const place = { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } };
  await kube.patch(place, { metadata: { labels } });
  machinery = new Machinery(kube, namespace);
  operation = startOperation();
});
afterAll(async () => {
  await operation.close();
  await machinery.stop();
  await Promise.all([close(), operator.close()]);
});

const reference = (name = "chat") => ({
  apiVersion: API_VERSION,
  kind: KIND,
  metadata: { namespace, name },
});
const change = (spec: object) => kube.patch(reference(), { spec });
const read = <T extends KubeObject>(apiVersion: string, kind: string, name: string) =>
  kube.get<T>(apiVersion, kind, { namespace, name });
async function status(): Promise<ClusterStatus> {
  return (await read<XmppCluster>(API_VERSION, KIND, "chat"))?.status ?? {};
}
const condition = async (type: string) =>
  (await status()).conditions?.find((each) => each.type === type);
const names = async (apiVersion: string, kind: string) =>
  (await kube.list(apiVersion, kind, { namespace })).map(({ metadata }) => metadata.name).sort();

/** Writes the operator sends while nothing changes. */
async function writesWhile(work: () => Promise<void>): Promise<readonly string[]> {
  operator.codes.length = 0;
  await work();
  return operator.codes.filter((code) => !/^(get|list|watch) /.test(code));
}

const isSettledAt = (version: string) => async () => {
  const { version: now, rollout, phase, observedGeneration } = await status();
  const object = await read(API_VERSION, KIND, "chat");
  return (
    now === version &&
    rollout === undefined &&
    phase === "Ready" &&
    observedGeneration === object?.metadata.generation
  );
};

describe("an XmppCluster", () => {
  test("comes up from nothing and says so", async () => {
    await kube.create(minimal(namespace));
    await until("0.1.0 runs", isSettledAt("0.1.0"));
    const { nodes, ...rest } = await status();
    expect(rest).toMatchObject({
      replicas: 3,
      readyReplicas: 3,
      selector: "xmpp.zonda.dev/cluster=chat",
      currentRevision: rest.updateRevision,
    });
    expect(nodes?.map(({ version, phase }) => `${version} ${phase}`)).toEqual(
      Array(3).fill("0.1.0 Serving"),
    );
    expect(rest.conditions?.map(({ type, status: is }) => `${type}=${is}`)).toEqual([
      "Ready=True",
      "Progressing=False",
      "Stalled=False",
      "VersionConsistent=True",
    ]);
    expect(await names("v1", "Service")).toEqual(["chat-c2s", "chat-mesh", "chat-s2s", "chat-web"]);
    expect(await names("v1", "Secret")).toEqual(["chat-ca", "chat-mesh", "chat-tls"]);
    expect(await names("policy/v1", "PodDisruptionBudget")).toEqual(["chat-nodes"]);
    expect(await names("networking.k8s.io/v1", "NetworkPolicy")).toEqual(["chat-nodes"]);
    expect(events.map(({ reason }) => reason)).toEqual(["RolloutStarted", "RolloutFinished"]);
  });

  test("has certificates that its own authority signed", async () => {
    const pem = async (name: string, key: string) =>
      Buffer.from((await read<Secret>("v1", "Secret", name))?.data?.[key] ?? "", "base64");
    const authority = new X509Certificate(await pem("chat-ca", "tls.crt"));
    const mesh = new X509Certificate(await pem("chat-mesh", "tls.crt"));
    const tls = new X509Certificate(await pem("chat-tls", "tls.crt"));
    expect(mesh.verify(authority.publicKey) && tls.verify(authority.publicKey)).toBe(true);
    expect(mesh.checkHost("node.chat.zonda.internal")).toBeDefined();
    expect(tls.checkHost("chat.example.org")).toBeDefined();
  });

  test("causes no write while nothing changes, however often it is looked at", async () => {
    const writes = await writesWhile(async () => {
      for (let pass = 0; pass < 5; pass += 1) {
        const metadata = { labels: { pass: String(pass) } };
        const askedFrom = operator.codes.length;
        await kube.patch(reference(), { metadata }); // Not the spec: a pass, but nothing to do.
        const isLookedAt = () => operator.codes.slice(askedFrom).filter(isGet).length >= 3;
        await until("a pass", isLookedAt);
      }
    });
    expect(writes).toEqual([]);
  });

  test("moves to another version one node at a time and never serves with less", async () => {
    machinery.reset();
    events.length = 0;
    await change({ version: "0.2.0" });
    await until("0.2.0 runs", isSettledAt("0.2.0"));
    expect(machinery.extremes).toEqual({ mostPods: 4, mostStopping: 1, fewestReady: 3 });
    const reasons = events.map(({ reason }) => reason);
    expect(reasons[0]).toBe("RolloutStarted");
    expect(reasons.filter((reason) => reason === "NodeReplaced")).toHaveLength(3);
    expect(reasons.at(-1)).toBe("RolloutFinished");
    const { updateRevision } = await status();
    await until("only the new revision is left", async () => {
      const left = [...(await names("apps/v1", "ReplicaSet")), ...(await names("v1", "ConfigMap"))];
      return left.every((name) => name === `chat-${updateRevision}`);
    });
  });

  test("says that a version which cannot start is stalled and why, and goes back at once", async () => {
    const waiting = { reason: "ImagePullBackOff", message: "no such image" };
    machinery.broken.set("0.3.0", { waiting });
    machinery.reset();
    await change({ version: "0.3.0" });
    const isWaiting = async () =>
      /no such image/.test((await condition("Progressing"))?.message ?? "");
    await until("it waits for the new node", isWaiting);
    expect(await status()).toMatchObject({ phase: "Updating", version: "0.2.0", readyReplicas: 3 });
    aheadMs += 601_000; // One second more than progressDeadlineSeconds.
    await kube.patch(reference(), { metadata: { labels: { later: "yes" } } });
    await until("it is stalled", async () => (await condition("Stalled"))?.status === "True");
    expect(await condition("Stalled")).toMatchObject({ reason: "ProgressDeadlineExceeded" });
    expect(await condition("Progressing")).toMatchObject({
      status: "False",
      message: expect.stringMatching(/chat-\w+-\w+ \(ImagePullBackOff: no such image\)/),
    });
    expect(await condition("Ready")).toMatchObject({ status: "True" });
    expect(await condition("VersionConsistent")).toMatchObject({ status: "False" });
    aheadMs = 0;
    await change({ version: "0.2.0" });
    await until("0.2.0 runs", isSettledAt("0.2.0"));
    expect(machinery.extremes.fewestReady).toBeGreaterThanOrEqual(3);
  });

  test("moves on to a third version from the middle of a bump, by another operator", async () => {
    machinery.reset();
    await change({ version: "0.4.0" });
    const isHalfWay = async () => ((await status()).rollout?.updated ?? 0) >= 1;
    await until("the first new node serves", isHalfWay);
    await operation.close();
    operation = startOperation();
    await change({ version: "0.5.0" });
    await until("0.5.0 runs", isSettledAt("0.5.0"));
    expect(machinery.extremes).toEqual({ mostPods: 4, mostStopping: 1, fewestReady: 3 });
  });

  test("puts back what was changed or deleted by hand", async () => {
    const service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace, name: "chat-c2s" },
    };
    await kube.patch(service, { spec: { selector: { "xmpp.zonda.dev/cluster": "other" } } });
    await until("the selector is back", async () => {
      const spec = (await read("v1", "Service", "chat-c2s"))?.spec as { selector: object };
      return JSON.stringify(spec.selector) === '{"xmpp.zonda.dev/cluster":"chat"}';
    });
    const policy = { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy" };
    await kube.delete({ ...policy, metadata: { namespace, name: "chat-nodes" } });
    await until("the policy is back", async () =>
      (await names(policy.apiVersion, policy.kind)).includes("chat-nodes"),
    );
  });

  test("scales, and a single node has no disruption budget", async () => {
    await kube.patch(reference(), { spec: { replicas: 1 } }, { subresource: "scale" });
    await until("one node is left", async () => (await machinery.pods()).length === 1);
    await until("it says so", isSettledAt("0.5.0"));
    await until(
      "the budget is gone",
      async () => (await names("policy/v1", "PodDisruptionBudget")).length === 0,
    );
    await kube.patch(reference(), { spec: { replicas: 2 } }, { subresource: "scale" });
    await until("two nodes serve", async () => (await status()).readyReplicas === 2);
    await until("the budget is back", async () =>
      (await names("policy/v1", "PodDisruptionBudget")).includes("chat-nodes"),
    );
  });

  test("issues the domains' certificate anew when the domains change", async () => {
    await change({ domains: ["chat.example.org", "other.example"] });
    await until("it names both", async () => {
      const secret = await read<Secret>("v1", "Secret", "chat-tls");
      const pem = Buffer.from(secret?.data?.["tls.crt"] ?? "", "base64");
      return new X509Certificate(pem).checkHost("other.example") !== undefined;
    });
    await until("the nodes know of it", isSettledAt("0.5.0"));
  });

  test("leaves a Secret alone that is not its own, and says which is in the way", async () => {
    const metadata = { namespace, name: "second-ca" };
    await kube.create({ apiVersion: "v1", kind: "Secret", metadata, data: {} });
    await kube.create(minimal(namespace, {}, "second"));
    await until("it says why", async () => {
      const second = await read<XmppCluster>(API_VERSION, KIND, "second");
      return second?.status?.rollout?.blockedBy?.predicate === "SecretNotOurs";
    });
    expect(await read<Secret>("v1", "Secret", "second-ca")).not.toHaveProperty("data");
    await kube.delete({ apiVersion: "v1", kind: "Secret", metadata });
    await until("it goes on", async () => (await names("v1", "Secret")).includes("second-mesh"));
  });
});

const isGet = (code: string) => code.startsWith("get ");
