/** The cluster as two modules see it, on several nodes. */
import { expect, test } from "vitest";
import type { ClusterService } from "./contract/cluster.ts";
import type { Module } from "./contract.ts";
import { defineModule, on, task } from "./contract.ts";
import { Cluster } from "./testing/cluster.ts";
import { record } from "./testing/shared-routes.ts";

interface Seen {
  /** One for each node, in the order of the nodes. */
  readonly clusters: ClusterService[];
  readonly told: string[][];
}

/** A module that writes down what it is told. */
function watching(name: string): { module: Module; seen: Seen } {
  const seen: Seen = { clusters: [], told: [] };
  const module = defineModule({
    name,
    about: "Watches.",
    setup({ cluster }) {
      const told: string[] = [];
      seen.told.push(told);
      seen.clusters.push(cluster);
      return [
        on("started", () => void told.push("started")),
        on("stopping", () => void told.push("stopping")),
        on("nodeUp", ({ incarnation }) => void told.push(`up ${incarnation}`)),
        on("nodeDown", ({ incarnation }) => void told.push(`down ${incarnation}`)),
        on("senior", (now) => void told.push(`senior ${now?.node.incarnation ?? "unknown"}`)),
        task("name", (value) => `${name} ${String(value)}`),
      ];
    },
  });
  return { module, seen };
}

async function scene(nodes: number) {
  const [one, two] = [watching("one"), watching("two")];
  const cluster = new Cluster({ nodes, modules: [one.module, two.module] });
  await cluster.settle();
  for (const told of one.seen.told) told.length = 0;
  for (const { router } of cluster.nodes) router.start();
  await cluster.settle();
  const at = (index: number) => one.seen.clusters[index] as ClusterService;
  return { cluster, told: one.seen.told, at, other: two.seen.clusters[0] as ClusterService };
}

test("a module is told when it may begin, who is the senior, and when to end", async () => {
  const { cluster, told, at } = await scene(2);
  expect(told).toEqual([
    ["started", "senior node-1"],
    ["started", "senior node-1"],
  ]);
  expect([at(0).senior?.isSelf, at(1).senior?.isSelf]).toEqual([true, false]);
  await cluster.node(0).router.stop();
  await cluster.settle();
  expect(told[0]?.slice(2)).toContain("stopping");
  expect(told[1]?.slice(2)).toEqual(["senior unknown", "senior node-2"]);
});

test("a node that dies is no longer in the list, and another senior follows", async () => {
  const { cluster, told, at } = await scene(3);
  const names = () => at(1).nodes.map(({ incarnation }) => incarnation);
  expect(names()).toEqual(["node-2", "node-1", "node-3"]);
  cluster.kill(cluster.node(0));
  cluster.expire(cluster.node(0));
  await cluster.settle();
  expect(names()).toEqual(["node-2", "node-3"]);
  for (const lines of told.slice(1)) {
    expect(lines.slice(2).toSorted()).toEqual([
      "down node-1",
      expect.stringMatching(/^senior node-[23]$/),
      "senior unknown",
    ]);
  }
  expect(at(1).senior).toMatchObject({ node: at(2).senior?.node, token: at(2).senior?.token });
});

test("a node that joins is told of once, and is in the list by then", async () => {
  const { cluster, told, at } = await scene(2);
  const { router, routes } = cluster.node(0);
  const before = [...(told[0] ?? [])];
  routes.nodes.set("node-3", record("node-3"));
  router.onNodeUp(record("node-3"));
  await cluster.settle();
  expect(told[0]).toEqual([...before, "up node-3"]);
  expect(told[1]).not.toContain("up node-3");
  expect(at(0).nodes.map(({ incarnation }) => incarnation)).toEqual(["node-1", "node-2", "node-3"]);
});

test("claims and tasks of the same name do not meet when they are of two modules", async () => {
  const { at, other } = await scene(2);
  const first = await at(0).claim("work");
  expect(await at(1).claim("work")).toBeUndefined();
  expect((await other.claim("work"))?.isHeld).toBe(true);
  await first?.[Symbol.asyncDispose]();
  const second = await at(1).claim("work");
  expect(second?.token).toBeGreaterThan(first?.token ?? Number.POSITIVE_INFINITY);
  const valuesOf = async (cluster: ClusterService) =>
    (await cluster.ask("name", "here")).map((one) => (one.kind === "answered" ? one.value : one));
  expect(await valuesOf(at(0))).toEqual(["one here", "one here"]);
  expect(await valuesOf(other)).toEqual(["two here", "two here"]);
});

test("a node holds so many claims of modules, and room is made by giving them back", async () => {
  const { cluster, at } = await scene(1);
  const many = Array.from({ length: 1_000 }, (_, index) => at(0).claim(`claim ${index}`));
  const claims = await Promise.all(many);
  const more = at(0).claim("one more");
  await expect(more).rejects.toMatchObject({ name: "Unavailable", code: "claims-overload" });
  expect(cluster.node(0).router.stats().claims).toBe(1_000);
  await claims[0]?.[Symbol.asyncDispose]();
  expect(await at(0).claim("claim 1")).toBeUndefined(); // Which takes no room.
  expect((await at(0).claim("one more"))?.isHeld).toBe(true);
  expect(cluster.node(0).router.stats().claims).toBe(1_000);
});

test("a module cannot use the cluster before the router is there", () => {
  const eager = defineModule({
    name: "eager",
    about: "Does not wait.",
    setup({ cluster }) {
      void cluster.nodes;
      return [];
    },
  });
  expect(() => new Cluster({ nodes: 1, modules: [eager] })).toThrow(/modules are being set up/);
});
