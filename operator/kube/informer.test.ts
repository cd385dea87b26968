import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../loop/clock.ts";
import { keyText } from "../loop/contract.ts";
import type { Informer, KubeObject } from "./contract.ts";
import type { InformerOptions } from "./informer.ts";
import { createInformer } from "./informer.ts";
import type { ConfigMap } from "./testing/api-server.ts";
import {
  configMap,
  connect,
  createNamespace,
  silentLog,
  testServer,
  until,
} from "./testing/api-server.ts";
import { FaultProxy } from "./testing/fault-proxy.ts";

const truth = connect();
let proxy: FaultProxy;
let through: ReturnType<typeof connect>;
let namespace = "";

beforeAll(async () => {
  proxy = await FaultProxy.start(testServer());
  through = connect(proxy.address);
});
beforeEach(async () => {
  namespace = await createNamespace(truth.kube);
  proxy.fault = () => undefined;
  proxy.isDoubling = false;
});
afterAll(async () => {
  await Promise.all([truth.close(), through.close()]);
  await proxy.stop();
});

interface Watched {
  readonly informer: Informer<ConfigMap>;
  readonly relists: string[];
  /** Every key told of, in order. */
  readonly told: string[];
  /** What a listener that reads the store at every call knows: it must end up true as well. */
  readonly mirror: Map<string, string>;
}

/** An informer behind the proxy, with waits short enough for a test. */
function watch(options: Partial<InformerOptions> = {}): Watched {
  const relists: string[] = [];
  const informer = createInformer<ConfigMap>({
    source: through.kube,
    apiVersion: "v1",
    kind: "ConfigMap",
    selection: { namespace },
    clock: systemClock,
    random: Math.random,
    log: silentLog,
    metrics: { relist: (_kind, reason) => relists.push(reason), watchFailure() {} },
    backoff: { firstMs: 10, maxMs: 100 },
    healthyMs: 300,
    ...options,
  });
  const told: string[] = [];
  const mirror = new Map<string, string>();
  informer.onChange((key) => {
    told.push(key.name);
    const object = informer.get(key);
    if (object === undefined) mirror.delete(keyText(key));
    else mirror.set(keyText(key), versionOf(object));
  });
  return { informer, relists, told, mirror };
}

function versionOf({ metadata }: KubeObject): string {
  return `${metadata.uid} ${metadata.resourceVersion}`;
}

function picture(objects: readonly KubeObject[]): string {
  return objects
    .map((object) => `${object.metadata.name} ${versionOf(object)}`)
    .sort()
    .join("\n");
}

/** Waits until the store and the listener's mirror both equal what the server has. */
async function converged({ informer, mirror }: Watched): Promise<void> {
  let seen = "";
  await until("the store equals the server", async () => {
    const wanted = picture(await truth.kube.list("v1", "ConfigMap", { namespace }));
    seen = picture(informer.list());
    return seen === wanted;
  }).catch((error: Error) => {
    throw new Error(`${error.message}\nstore:\n${seen}`);
  });
  const objects = informer.list();
  expect(new Set(mirror.values())).toEqual(new Set(objects.map(versionOf)));
  expect(mirror.size).toBe(objects.length);
}

const put = (name: string, value: string) =>
  truth.kube.apply(configMap(namespace, name, { value }));
const remove = (name: string) => truth.kube.delete(configMap(namespace, name));

describe("an informer", () => {
  test("holds what was there and what comes after", async () => {
    await put("old", "1");
    const watched = watch();
    expect(watched.informer.isSynced).toBe(false);
    watched.informer.start();
    await watched.informer.synced();
    expect(watched.told).toContain("old");
    await put("new", "1");
    await put("old", "2");
    await remove("new");
    await converged(watched);
    expect(watched.informer.get({ namespace, name: "old" })?.data).toEqual({ value: "2" });
    expect(watched.informer.get({ namespace, name: "old" })?.kind).toBe("ConfigMap");
    expect(watched.relists).toEqual(["start"]);
    watched.informer.stop();
  });

  test("tells twice of an object that was remade while it could not look", async () => {
    await put("twin", "1");
    const watched = watch();
    watched.informer.start();
    await watched.informer.synced();
    proxy.fault = () => ({ kind: "answer", status: 410 });
    proxy.cutWatches();
    await remove("twin");
    await put("twin", "1");
    watched.told.length = 0;
    proxy.fault = () => undefined;
    await converged(watched);
    expect(watched.told).toEqual(["twin", "twin"]);
    expect(watched.relists.slice(0, 2)).toEqual(["start", "expired"]);
    watched.informer.stop();
  });

  test("a listener that throws does not stop the others or the store", async () => {
    const watched = watch();
    watched.informer.onChange(() => {
      throw new Error("a bug");
    });
    const late: string[] = [];
    const undo = watched.informer.onChange((key) => late.push(key.name));
    watched.informer.start();
    await put("one", "1");
    await converged(watched);
    await until("the last listener hears", () => late.includes("one"));
    undo();
    await put("two", "1");
    await converged(watched);
    expect(late).not.toContain("two");
    watched.informer.stop();
  });

  test("moves its version on bookmarks and foreign events only forwards", async () => {
    const watched = watch();
    watched.informer.start();
    await watched.informer.synced();
    await until("a watch is open", () => proxy.openWatches > 0);
    const { resourceVersion } = watched.informer;
    const bookmark = (version: string) => ({
      type: "BOOKMARK",
      object: { kind: "ConfigMap", metadata: { resourceVersion: version } },
    });
    proxy.tellWatches(bookmark("1"));
    const old = { name: "ghost", namespace, resourceVersion: "1", uid: "x" };
    proxy.tellWatches({ type: "ADDED", object: { ...configMap("", ""), metadata: old } });
    const next = String(Number(resourceVersion) + 1);
    proxy.tellWatches(bookmark(next));
    await until("the bookmark arrived", () => watched.informer.resourceVersion === next);
    expect(watched.informer.list().map((object) => object.metadata.name)).not.toContain("ghost");
    watched.informer.stop();
  });

  test("resumes a cut watch where it was, without a new list", async () => {
    const watched = watch();
    watched.informer.start();
    await watched.informer.synced();
    for (const name of ["a", "b", "c"]) {
      await until("a watch is open", () => proxy.openWatches > 0);
      proxy.cutWatches();
      await put(name, "1");
      await converged(watched);
    }
    expect(watched.relists).toEqual(["start"]);
    watched.informer.stop();
  });

  test("opens no watch and calls no listener after stop, even within a wait", async () => {
    const watched = watch({ backoff: { firstMs: 50, maxMs: 50 } });
    watched.informer.start();
    await watched.informer.synced();
    proxy.fault = ({ isWatch }) => (isWatch ? { kind: "answer", status: 500 } : undefined);
    proxy.cutWatches();
    await until("it tries again", () => proxy.requests.at(-1)?.isWatch === true);
    watched.informer.stop();
    const { length } = proxy.requests;
    watched.told.length = 0;
    await put("after", "1");
    // Five times the wait it was in.
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(proxy.requests).toHaveLength(length);
    expect(watched.told).toEqual([]);
    await until("the server's side is closed too", () => proxy.openWatches === 0);
  });

  test("can be started again and catches up", async () => {
    await put("a", "1");
    const watched = watch();
    watched.informer.start();
    await watched.informer.synced();
    watched.informer.stop();
    await remove("a");
    await put("b", "1");
    watched.informer.start();
    await converged(watched);
    watched.informer.stop();
  });

  test("whoever waits for the first list hears of a stop and of his own signal", async () => {
    proxy.fault = () => ({ kind: "answer", status: 500 });
    const { informer } = watch();
    informer.start();
    await expect(informer.synced(AbortSignal.timeout(20))).rejects.toThrow();
    const synced = informer.synced();
    informer.stop();
    await expect(synced).rejects.toThrow("Cannot watch ConfigMap: the informer stopped");
    proxy.fault = () => undefined;
    informer.start();
    await informer.synced();
    informer.stop();
  });
});

/** What can go wrong, each as something done to the proxy until `heal`. */
const FAULTS: Readonly<Record<string, () => void>> = {
  "a cut watch": () => proxy.cutWatches(),
  "a watch torn in the middle of a line": () => proxy.tearWatches(),
  "a watch that went silent": () => proxy.freezeWatches(),
  "an expired version in the stream": () => {
    const status = {
      kind: "Status",
      status: "Failure",
      code: 410,
      reason: "Expired",
      message: "x",
    };
    proxy.tellWatches({ type: "ERROR", object: status });
  },
  "an internal error in the stream": () => {
    const status = { kind: "Status", status: "Failure", code: 500, message: "x" };
    proxy.tellWatches({ type: "ERROR", object: status });
  },
  "410 to everything": () => failAll(410),
  "429 with Retry-After": () => failAll(429, "1"),
  "500 to everything": () => failAll(500),
  "500 to watches": () => {
    proxy.fault = ({ isWatch }) => (isWatch ? { kind: "answer", status: 500 } : undefined);
    proxy.cutWatches();
  },
  "resets of every connection": () => {
    proxy.fault = () => ({ kind: "reset" });
    proxy.cutWatches();
  },
  "events sent twice": () => {
    proxy.isDoubling = true;
  },
};

function failAll(status: number, retryAfter?: string): void {
  const wait = retryAfter === undefined ? {} : { retryAfter };
  proxy.fault = () => ({ kind: "answer", status, ...wait });
  proxy.cutWatches();
}

function heal(): void {
  proxy.fault = () => undefined;
  proxy.isDoubling = false;
}

describe("the store becomes true again after", () => {
  for (const [name, inflict] of Object.entries(FAULTS)) {
    test(name, async () => {
      for (const object of ["kept", "changed", "removed", "remade"]) await put(object, "1");
      const watched = watch({ idleMs: 400 });
      watched.informer.start();
      await watched.informer.synced();
      await until("a watch is open", () => proxy.openWatches > 0);
      inflict();
      await put("changed", "2");
      await remove("removed");
      await remove("remade");
      await put("remade", "1");
      await put("added", "1");
      await new Promise((resolve) => setTimeout(resolve, 100)); // Let it meet the fault.
      heal();
      await converged(watched);
      await put("later", "1");
      await converged(watched);
      watched.informer.stop();
    });
  }

  test("a list older than what it knows, which it refuses", async () => {
    await put("a", "1");
    const watched = watch();
    const old = await truth.rest.json<object>({
      method: "GET",
      path: `/api/v1/namespaces/${namespace}/configmaps`,
      verb: "list",
      kind: "ConfigMap",
    });
    await put("b", "1");
    watched.informer.start();
    await watched.informer.synced();
    let replays = 0;
    proxy.fault = ({ isWatch }) => {
      if (isWatch) return { kind: "answer", status: 410 };
      replays += 1;
      return { kind: "replay", body: JSON.stringify(old) };
    };
    proxy.cutWatches();
    await until("it was shown the old list", () => replays >= 3);
    expect(watched.informer.get({ namespace, name: "b" })).toBeDefined();
    // A server that insists was restored from a backup: then the store follows.
    await until("it believes", () => watched.informer.get({ namespace, name: "b" }) === undefined);
    heal();
    await converged(watched);
    watched.informer.stop();
  });
});

/** A small generator with a seed (mulberry32), so that a failure can be had again. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

describe("the store becomes true again after everything at once", () => {
  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    test(`seed ${seed}`, async () => {
      const random = seeded(seed);
      const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
      const names = ["a", "b", "c", "d", "e"];
      const watched = watch({ idleMs: 400, random });
      watched.informer.start();
      for (let step = 0; step < 60; step += 1) {
        const dice = random();
        if (dice < 0.35) await put(pick(names), String(step));
        else if (dice < 0.6) await remove(pick(names));
        else if (dice < 0.75) pick(Object.values(FAULTS))();
        else if (dice < 0.9) heal();
        else await new Promise((resolve) => setTimeout(resolve, random() * 60));
      }
      heal();
      await converged(watched);
      watched.informer.stop();
    });
  }
});
