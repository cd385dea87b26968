import { expect, test } from "vitest";
import type { SimNode } from "../sim/node.ts";
import { SimulatedCluster } from "./simulated.ts";

test("what nodes do is counted: who joins is told to all, and who takes a session over asks all", async () => {
  const cluster = new SimulatedCluster();
  await cluster.join(3);
  await cluster.pass(1_000);
  const before = cluster.done;
  await cluster.join(1);
  const joined = cluster.done;
  expect(joined.watched - before.watched).toBe(3);
  expect(joined.etcdWrites - before.etcdWrites).toBe(1);

  const [first, ...others] = cluster.nodes as [SimNode, ...SimNode[]];
  const nodes = () => (first.isAlive ? [first] : others);
  const juliet = cluster.device(cluster.addUser("juliet"), nodes);
  juliet.come();
  await cluster.until("she is there", () => juliet.announced !== undefined);
  await cluster.pass(1_000);
  expect(cluster.done.missed).toBe(0);
  first.kill("of the test");
  await cluster.until("she is back", () => juliet.moved.size > 0);
  const { missed, missedTurns } = cluster.done;
  expect([missed, missedTurns]).toEqual([2, 2]);
});
