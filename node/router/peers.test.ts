import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import type { NodeRecord } from "../routes/contract.ts";
import { Peers } from "./peers.ts";

const record = {} as NodeRecord;

function newPeers() {
  const nodes = new Map<string, NodeRecord>([["known", record]]);
  const clock = new FakeClock();
  return { nodes, clock, peers: new Peers(() => nodes, clock) };
}

test("a known node is ready, a dead one is not", () => {
  const { peers } = newPeers();
  expect(peers.ready("known")).toBe(true);
  peers.down("known");
  expect(peers.ready("known")).toBe(false);
  expect(peers.isDead("known")).toBe(true);
  peers.up("known");
  expect(peers.ready("known")).toBe(true);
});

test("a node that joined a moment ago is waited for", async () => {
  const { peers, nodes } = newPeers();
  const ready = peers.ready("new");
  nodes.set("new", record);
  peers.up("new");
  expect(await ready).toBe(true);
});

test("a node that does not appear within two seconds is not there", async () => {
  const { peers, clock } = newPeers();
  const ready = peers.ready("never");
  clock.advance(2_000);
  expect(await ready).toBe(false);
});

test("a node that dies while it is waited for is not there", async () => {
  const { peers } = newPeers();
  const ready = peers.ready("new");
  peers.down("new");
  expect(await ready).toBe(false);
});
