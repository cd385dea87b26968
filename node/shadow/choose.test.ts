import { expect, test } from "vitest";
import type { Candidate } from "./choose.ts";
import { chooseShadow, shadowsOf } from "./choose.ts";

const node = (incarnation: string, zone: string): Candidate => ({ incarnation, zone });
const NODES = Array.from({ length: 9 }, (_, n) => node(`node-${n}`, `zone-${n % 3}`));
const IDS = Array.from({ length: 9_000 }, (_, n) => `session-${n}`);

test("without another node there is no shadow", () => {
  expect(chooseShadow("id", "zone-0", [])).toBeUndefined();
  expect(shadowsOf("id", [])).toEqual([]);
});

test("a shadow is in another zone, if any node is", () => {
  const chosen = new Set(IDS.map((id) => chooseShadow(id, "zone-0", NODES)));
  expect([...chosen].toSorted()).toEqual([1, 2, 4, 5, 7, 8].map((n) => `node-${n}`));
  expect(chooseShadow("id", "zone-0", NODES.slice(0, 1))).toBe("node-0");
});

test("the order in which nodes are known makes no difference", () => {
  for (const id of IDS.slice(0, 500)) {
    expect(chooseShadow(id, "zone-1", NODES.toReversed())).toBe(chooseShadow(id, "zone-1", NODES));
  }
});

test("sessions are spread evenly over the nodes of other zones", () => {
  const counts = new Map<string, number>();
  for (const id of IDS) {
    const shadow = chooseShadow(id, "zone-0", NODES) ?? "";
    counts.set(shadow, (counts.get(shadow) ?? 0) + 1);
  }
  expect(counts.size).toBe(6);
  for (const count of counts.values()) expect(Math.abs(count - 1_500)).toBeLessThan(150);
});

test("what a node leaves behind is spread, too, and nothing else moves", () => {
  const left = NODES.filter(({ incarnation }) => incarnation !== "node-4");
  const counts = new Map<string, number>();
  const moved: string[] = [];
  for (const id of IDS) {
    const before = chooseShadow(id, "zone-0", NODES);
    const after = chooseShadow(id, "zone-0", left) ?? "";
    if (before === "node-4") counts.set(after, (counts.get(after) ?? 0) + 1);
    else if (after !== before) moved.push(id);
  }
  expect(moved).toEqual([]);
  expect(counts.size).toBe(5);
  for (const count of counts.values()) expect(Math.abs(count - 300)).toBeLessThan(75);
});

test("the nodes to ask are few, each once, and one is the shadow, whoever the owner is", () => {
  for (const id of IDS.slice(0, 200)) {
    const asked = shadowsOf(id, NODES);
    const shadows = NODES.map((owner) =>
      chooseShadow(
        id,
        owner.zone,
        NODES.filter((one) => one !== owner),
      ),
    );
    expect(shadows.filter((shadow) => !asked.includes(shadow ?? ""))).toEqual([]);
    expect(asked.length).toBeLessThanOrEqual(6);
    expect(new Set(asked).size).toBe(asked.length);
  }
});
