import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../loop/clock.ts";
import { tokenAccess } from "./access.ts";
import { KubeClient } from "./client.ts";
import type { KubeObject } from "./contract.ts";
import { KubeError } from "./errors.ts";
import { Rest } from "./rest.ts";
import type { ConfigMap } from "./testing/api-server.ts";
import { configMap, connect, createNamespace, testServer } from "./testing/api-server.ts";
import { FaultProxy } from "./testing/fault-proxy.ts";

const { kube, codes, close } = connect();
const other = connect(testServer(), { fieldManager: "somebody-else" });
let namespace = "";

beforeAll(async () => {
  namespace = await createNamespace(kube);
});
afterAll(async () => {
  await Promise.all([close(), other.close()]);
});

const read = (name: string) => kube.get<ConfigMap>("v1", "ConfigMap", { namespace, name });

/** What was thrown, which must be a KubeError. */
async function refusal(work: Promise<unknown>): Promise<KubeError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(KubeError);
  return error as KubeError;
}

function replicaSet(name: string, replicas: number): KubeObject & { spec: object } {
  const labels = { app: name };
  const containers = [{ name: "node", image: "node:1", resources: { limits: { cpu: "1000m" } } }];
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { namespace, name, labels },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers } },
    },
  };
}

describe("reading", () => {
  test("an object that is not there is undefined", async () => {
    expect(await read("nobody")).toBeUndefined();
  });

  test("a kind that is not served is told apart from an object that is not there", async () => {
    const key = { namespace, name: "x" };
    const noKind = await refusal(kube.get("apps/v1", "Unheard", key));
    expect(noKind).toMatchObject({ status: 404, reason: "KindNotServed" });
    const noGroup = await refusal(kube.list("unheard.example/v1", "Unheard"));
    expect(noGroup).toMatchObject({ status: 404, reason: "KindNotServed" });
  });

  test("a kind is found once its definition was installed", async () => {
    const group = `${namespace}.example`;
    const key = { namespace, name: "x" };
    const miss = await refusal(kube.get(`${group}/v1`, "Boat", key));
    expect(miss.reason).toBe("KindNotServed");
    const schema = {
      openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    };
    const spec = {
      group,
      scope: "Namespaced",
      names: { plural: "boats", singular: "boat", kind: "Boat", listKind: "BoatList" },
      versions: [{ name: "v1", served: true, storage: true, schema }],
    };
    await kube.create({
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: `boats.${group}` },
      spec,
    } as KubeObject);
    await expect.poll(() => kube.list(`${group}/v1`, "Boat").catch(() => "not yet")).toEqual([]);
    const boat = {
      apiVersion: `${group}/v1`,
      kind: "Boat",
      metadata: key,
      sail: { colour: "red" },
    };
    await kube.apply(boat as KubeObject);
    // Fields that no type of ours knows come back whole.
    expect(await kube.get(`${group}/v1`, "Boat", key)).toMatchObject({ sail: { colour: "red" } });
  });

  test("a list is read page by page, each object with its kind", async () => {
    const labels = { crowd: "yes" };
    const names = Array.from({ length: 253 }, (_, index) => `crowd-${index}`);
    for (let at = 0; at < names.length; at += 50) {
      const group = names.slice(at, at + 50);
      await Promise.all(
        group.map((name) =>
          kube.create({ ...configMap(namespace, name), metadata: { namespace, name, labels } }),
        ),
      );
    }
    codes.length = 0;
    const all = await kube.list("v1", "ConfigMap", { namespace, labelSelector: "crowd=yes" });
    expect(new Set(all.map((object) => object.metadata.name))).toEqual(new Set(names));
    expect(all[0]).toMatchObject({ apiVersion: "v1", kind: "ConfigMap" });
    expect(codes).toEqual(["list 200", "list 200"]);
  });
});

describe("apply", () => {
  test("writes a new object, and nothing while the wish holds", async () => {
    const wish = replicaSet("steady", 2);
    expect((await kube.apply(wish)).written).toBe(true);
    codes.length = 0;
    const again = await kube.apply(replicaSet("steady", 2));
    expect(again.written).toBe(false);
    // The server made "1" of "1000m" and added defaults; that is no difference.
    expect(codes).toEqual(["get 200"]);
  });

  test("needs no request at all when the live object is given", async () => {
    const wish = configMap(namespace, "given", { a: "1" });
    const { object } = await kube.apply(wish);
    codes.length = 0;
    expect((await kube.apply(wish, { live: object })).written).toBe(false);
    expect(codes).toEqual([]);
  });

  test("does not write because of another's status or labels", async () => {
    const wish = replicaSet("busy", 1);
    await kube.apply(wish);
    const label = { metadata: { labels: { theirs: "yes" } } };
    await other.kube.patch(wish, label);
    await other.kube.patch(wish, { status: { replicas: 1 } }, { subresource: "status" });
    const { written, object } = await kube.apply(wish);
    expect(written).toBe(false);
    expect(object.metadata.labels).toEqual({ app: "busy", theirs: "yes" });
  });

  test("repairs a field of its own that somebody edited", async () => {
    const wish = replicaSet("edited", 3);
    await kube.apply(wish);
    await other.kube.patch(wish, { spec: { replicas: 7 } });
    const { written, object } = await kube.apply(wish);
    expect(written).toBe(true);
    expect(object).toMatchObject({ spec: { replicas: 3 } });
  });

  test("makes the object again when it is gone, though the wish is old", async () => {
    const wish = configMap(namespace, "phoenix", { a: "1" });
    const { object } = await kube.apply(wish);
    await other.kube.delete(wish);
    const again = await kube.apply(wish);
    expect(again.written).toBe(true);
    expect(again.object.metadata.uid).not.toBe(object.metadata.uid);
    // A copy of the dead one must not count as holding either.
    await other.kube.delete(wish);
    await other.kube.create(configMap(namespace, "phoenix", { a: "1" }));
    expect((await kube.apply(wish)).written).toBe(true);
  });

  test("removes a field it no longer wishes and leaves those of others", async () => {
    await kube.apply(configMap(namespace, "less", { a: "1", b: "2" }));
    await other.kube.patch(configMap(namespace, "less"), { data: { theirs: "3" } });
    const { object } = await kube.apply(configMap(namespace, "less", { a: "1" }));
    expect(object.data).toEqual({ a: "1", theirs: "3" });
  });

  test("after a restart applies once, which the server takes for no change", async () => {
    const wish = replicaSet("restart", 1);
    const first = await kube.apply(wish);
    const reborn = connect();
    const second = await reborn.kube.apply(wish);
    await reborn.close();
    expect(second.object.metadata.resourceVersion).toBe(first.object.metadata.resourceVersion);
  });

  test("writes status apart from the rest, and only when it differs", async () => {
    const wish = replicaSet("status", 1);
    await kube.apply(wish);
    const status = { replicas: 1, readyReplicas: 1 };
    const first = await kube.applyStatus({ ...wish, status });
    expect(first).toMatchObject({ written: true, object: { status, spec: { replicas: 1 } } });
    expect((await kube.applyStatus({ ...wish, status })).written).toBe(false);
    expect((await kube.apply(wish)).written).toBe(false);
    const less = { replicas: 1, readyReplicas: 0 };
    expect((await kube.applyStatus({ ...wish, status: less })).written).toBe(true);
  });

  test("a wish that was refused is sent again", async () => {
    const bad = replicaSet("bad", -1);
    expect(await refusal(kube.apply(bad))).toMatchObject({ status: 422, reason: "Invalid" });
    expect((await refusal(kube.apply(bad))).message).toMatch(
      /^Cannot apply ReplicaSet test-\w+\/bad: .*replicas/,
    );
  });
});

describe("writing", () => {
  test("a second create of a name says that it exists", async () => {
    const wish = configMap(namespace, "once");
    expect(await kube.create(wish)).toMatchObject({ kind: "created" });
    expect(await kube.create(wish)).toEqual({ kind: "exists" });
  });

  test("delete obeys its preconditions", async () => {
    const wish = configMap(namespace, "doomed");
    const made = await kube.create(wish);
    if (made.kind !== "created") throw new Error("Cannot go on: it exists");
    const { uid = "", resourceVersion = "" } = made.object.metadata;
    await other.kube.patch(wish, { data: { a: "1" } });
    expect(await kube.delete(wish, { resourceVersion })).toBe("changed");
    expect(await kube.delete(wish, { uid: "11111111-2222-3333-4444-555555555555" })).toBe(
      "changed",
    );
    expect(await kube.delete(wish, { uid, propagation: "Background" })).toBe("deleted");
    expect(await kube.delete(wish, { uid })).toBe("absent");
  });

  test("a patch or a replace of an old version is a conflict", async () => {
    const { object } = await kube.apply(configMap(namespace, "race", { a: "1" }));
    await other.kube.patch(object, { data: { a: "2" } });
    const { resourceVersion } = object.metadata;
    const patch = { metadata: { resourceVersion }, data: { a: "3" } };
    expect((await refusal(kube.patch(object, patch))).reason).toBe("Conflict");
    expect((await refusal(kube.replace(object))).reason).toBe("Conflict");
  });

  test("who may not write is refused before anything is sent", async () => {
    const fenced = connect(testServer(), { mayWrite: () => false });
    const wish = configMap(namespace, "fenced");
    const work = [
      fenced.kube.apply(wish),
      fenced.kube.applyStatus(wish),
      fenced.kube.create(wish),
      fenced.kube.patch(wish, {}),
      fenced.kube.replace(wish),
      fenced.kube.delete(wish),
    ];
    for (const one of work) expect((await refusal(one)).reason).toBe("NotLeading");
    expect(fenced.codes).toEqual([]);
    expect(await fenced.kube.get("v1", "ConfigMap", { namespace, name: "fenced" })).toBeUndefined();
    await fenced.close();
  });
});

describe("on bad days", () => {
  let proxy: FaultProxy;
  beforeAll(async () => {
    proxy = await FaultProxy.start(testServer());
  });
  afterAll(() => proxy.stop());

  test("twenty requests share two connections at most", async () => {
    const client = connect(proxy.address);
    proxy.connections = 0;
    for (let count = 0; count < 20; count += 1) await client.kube.list("v1", "ConfigMap");
    // One may be taken while the last answer is just being read to its end.
    expect(proxy.connections).toBeLessThanOrEqual(2);
    await client.close();
  });

  test("a server that asks for patience is understood", async () => {
    const client = connect(proxy.address);
    await client.kube.list("v1", "ConfigMap", { namespace });
    proxy.fault = () => ({ kind: "answer", status: 429, retryAfter: "7" });
    const error = await refusal(client.kube.list("v1", "ConfigMap", { namespace }));
    expect(error).toMatchObject({ status: 429, reason: "TooManyRequests", retryAfterSeconds: 7 });
    proxy.fault = () => undefined;
    await client.close();
  });

  test("a server that never answers is given up at the deadline", async () => {
    const access = tokenAccess(proxy.address);
    const rest = new Rest(access, systemClock, { request() {} }, "zonda-test");
    proxy.fault = () => ({ kind: "silence" });
    const call = { method: "GET", path: "/version", verb: "get", kind: "Version" } as const;
    const late = await refusal(rest.json({ ...call, deadlineMs: 100 }));
    expect(late).toMatchObject({ status: 0, reason: "DeadlineExceeded" });
    const signal = AbortSignal.timeout(50);
    expect((await refusal(rest.json({ ...call, signal }))).reason).toBe("Aborted");
    proxy.fault = () => undefined;
    await access.close();
  });

  test("a reset, a foreign answer and no server at all are KubeErrors", async () => {
    const client = connect(proxy.address);
    await client.kube.list("v1", "ConfigMap", { namespace });
    proxy.fault = () => ({ kind: "reset" });
    expect((await refusal(client.kube.list("v1", "ConfigMap"))).reason).toBe("Unreachable");
    proxy.fault = () => ({ kind: "replay", body: "<html>" });
    expect((await refusal(client.kube.list("v1", "ConfigMap"))).reason).toBe("BadAnswer");
    proxy.fault = () => undefined;
    await client.close();
    const nowhere = connect({ server: "http://127.0.0.1:1", token: "x" });
    expect((await refusal(nowhere.kube.list("v1", "ConfigMap"))).reason).toBe("Unreachable");
    await nowhere.close();
  });

  test("an apply whose answer was lost is sent again and changes nothing twice", async () => {
    const access = tokenAccess(proxy.address);
    const rest = new Rest(access, systemClock, { request() {} }, "zonda-test");
    const client = new KubeClient(rest, { fieldManager: "zonda-test" });
    const wish = configMap(namespace, "lost", { a: "1" });
    await client.apply(configMap(namespace, "lost", { a: "0" }));
    proxy.fault = ({ method }) => (method === "PATCH" ? { kind: "lostAnswer" } : undefined);
    await refusal(client.apply(wish));
    proxy.fault = () => undefined;
    const before = await read("lost");
    expect(before?.data).toEqual({ a: "1" });
    const { written, object } = await client.apply(wish);
    expect(written).toBe(true);
    expect(object.metadata.resourceVersion).toBe(before?.metadata.resourceVersion);
    await access.close();
  });
});
