/** What every engine must do with nodes of publish-subscribe. */
import { expect, test } from "vitest";
import type { OpenedPair } from "./data.suite.ts";
import { AWKWARD, LARGE_BYTES, someItem, someUser } from "./data.suite.ts";

type Open = () => OpenedPair;

const KEEP = { isKept: true, removes: [] } as const;
const ONLY = { isKept: true, removes: "all" } as const;
const entries = (...pairs: [string, string | undefined][]) => new Map(pairs);

/** Declares these tests; see contract.suite.ts. */
export function pubsubNodesSuite(stores: Open): void {
  test("an owner without nodes has none", async () => {
    const { pubsub } = stores().here;
    const owner = someUser();
    expect(await pubsub.list(owner)).toEqual([]);
    expect(await pubsub.read(owner, ["node"])).toEqual([]);
    expect(await pubsub.itemIds(owner, "node")).toEqual([]);
    expect(await pubsub.items(owner, "node", ["item"])).toEqual([]);
    expect(await pubsub.items(owner, "node", [])).toEqual([]);
  });

  test("nodes come back in the order of their names, with all that was written", async () => {
    const { here, there } = stores();
    const owner = someUser();
    for (const name of AWKWARD) {
      const affiliations = entries([`${name}@example.org`, "member"], ["b@example.org", "outcast"]);
      const subscriptions = entries([name, name]);
      await here.pubsub.create(owner, name, { config: name, affiliations, subscriptions });
    }
    const nodes = await there.pubsub.list(owner);
    const sorted = AWKWARD.toSorted((one, other) =>
      Buffer.compare(Buffer.from(one), Buffer.from(other)),
    );
    expect(nodes.map(({ name }) => name)).toEqual(sorted);
    for (const { name, config, affiliations, subscriptions } of nodes) {
      expect(config).toBe(name);
      expect(affiliations).toEqual(
        entries([`${name}@example.org`, "member"], ["b@example.org", "outcast"]),
      );
      expect(subscriptions).toEqual(entries([name, name]));
    }
    const [first, second] = sorted as [string, string];
    const read = await there.pubsub.read(owner, [second, "unknown", first]);
    expect(read.map(({ name }) => name).toSorted()).toEqual([first, second].toSorted());
    expect(read[0]?.last).toBeUndefined();
  });

  test("a change is of the given fields and entries, and of no other", async () => {
    const { here, there } = stores();
    const owner = someUser();
    const affiliations = entries(["a", "member"], ["b", "publisher"]);
    const node = await here.pubsub.create(owner, "node", { config: "1", affiliations });
    await here.pubsub.change(owner, node, { affiliations: entries(["a", undefined], ["c", "x"]) });
    await here.pubsub.change(owner, node, { subscriptions: entries(["s", "t"]) });
    await here.pubsub.change(owner, node, { config: "2" });
    const [changed] = await there.pubsub.list(owner);
    expect(changed?.config).toBe("2");
    expect(changed?.affiliations).toEqual(entries(["b", "publisher"], ["c", "x"]));
    expect(changed?.subscriptions).toEqual(entries(["s", "t"]));
    expect(changed?.changedUs).toBeGreaterThan(node.changedUs);
  });

  test("a removed node is gone with its items, and comes back empty", async () => {
    const { here, there } = stores();
    const owner = someUser();
    const node = await here.pubsub.create(owner, "node", {
      config: "old",
      affiliations: entries(["a", "member"]),
    });
    await here.pubsub.create(owner, "other", { config: "other" });
    await here.pubsub.publish(owner, node, someItem("item"), KEEP);
    const [read] = await there.pubsub.read(owner, ["node"]);
    await there.pubsub.remove(owner, read ?? node);
    expect((await here.pubsub.list(owner)).map(({ name }) => name)).toEqual(["other"]);
    expect(await here.pubsub.itemIds(owner, "node")).toEqual([]);
    await here.pubsub.create(owner, "node", { config: "new" });
    const [again] = await there.pubsub.read(owner, ["node"]);
    expect(again).toMatchObject({ config: "new", affiliations: new Map(), last: undefined });
    expect(await here.pubsub.itemIds(owner, "node")).toEqual([]);
  });

  test("owners with near names do not see each other's nodes", async () => {
    const { pubsub } = stores().here;
    const owner = someUser();
    const node = await pubsub.create(owner, "node", { config: "" });
    await pubsub.publish(owner, node, someItem("item"), KEEP);
    for (const near of [`${owner}x`, owner.slice(0, -1), `${owner}/`]) {
      expect(await pubsub.list(near), near).toEqual([]);
      expect(await pubsub.itemIds(near, "node"), near).toEqual([]);
    }
    expect(await pubsub.itemIds(owner, "node2")).toEqual([]);
  });
}

/** Declares these tests; see contract.suite.ts. */
export function pubsubItemsSuite(stores: Open): void {
  const made = async () => {
    const { here, there } = stores();
    const owner = someUser();
    const node = await here.pubsub.create(owner, "node", { config: "" });
    const ids = async () => (await there.pubsub.itemIds(owner, "node")).map(({ id }) => id);
    const last = async () => (await there.pubsub.read(owner, ["node"]))[0]?.last;
    /** The node as somebody sees it who reads it now. */
    const now = async () => (await here.pubsub.read(owner, ["node"]))[0] ?? node;
    return { here: here.pubsub, there: there.pubsub, owner, node, ids, last, now };
  };

  test("items are kept in the order of their publication, and the last one with the node", async () => {
    const { here, there, owner, node, ids, last, now } = await made();
    for (const id of ["c", "a", ...AWKWARD]) {
      await here.publish(owner, await now(), someItem(id), KEEP);
    }
    expect(await ids()).toEqual(["c", "a", ...AWKWARD]);
    expect(await last()).toMatchObject(someItem(AWKWARD.at(-1) as string));
    const items = await there.items(owner, node.name, ["a", "unknown", "c"]);
    expect(items.map(({ id, payload }) => `${id} ${payload}`).toSorted()).toEqual([
      "a <item>a</item>",
      "c <item>c</item>",
    ]);
  });

  test("an item that is published again is the newest, with its new payload", async () => {
    const { here, there, owner, node, ids, last, now } = await made();
    for (const id of ["a", "b", "a"]) {
      await here.publish(owner, await now(), someItem(id, `<${id}/>`), KEEP);
    }
    const stampUs = await here.publish(owner, await now(), someItem("b", "<new/>"), KEEP);
    expect(await ids()).toEqual(["a", "b"]);
    expect(await last()).toEqual({ ...someItem("b", "<new/>"), publishedUs: stampUs });
    expect((await there.items(owner, node.name, ["b"]))[0]?.payload.toString()).toBe("<new/>");
  });

  test("one item can replace all others, or make room among them", async () => {
    const { here, owner, ids, now } = await made();
    for (const id of ["a", "b", "c"]) await here.publish(owner, await now(), someItem(id), KEEP);
    await here.publish(owner, await now(), someItem("d"), { isKept: true, removes: ["a", "b"] });
    expect(await ids()).toEqual(["c", "d"]);
    await here.publish(owner, await now(), someItem("e"), ONLY);
    await here.publish(owner, await now(), someItem("e"), ONLY);
    expect(await ids()).toEqual(["e"]);
  });

  test("what is not kept is still the last one", async () => {
    const { here, owner, node, ids, last } = await made();
    await here.publish(owner, node, someItem("a"), { isKept: false, removes: [] });
    expect(await ids()).toEqual([]);
    expect(await last()).toMatchObject(someItem("a"));
  });

  test("items are removed by id or all, and the last one is what the caller says", async () => {
    const { here, owner, ids, last, now } = await made();
    for (const id of ["a", "b", "c"]) await here.publish(owner, await now(), someItem(id), KEEP);
    const item = { ...someItem("b"), publishedUs: 5 };
    await here.removeItems(owner, await now(), ["c", "unknown"], item);
    expect(await ids()).toEqual(["a", "b"]);
    expect(await last()).toEqual(item);
    await here.removeItems(owner, await now(), "all", undefined);
    expect(await ids()).toEqual([]);
    expect(await last()).toBeUndefined();
    await here.publish(owner, await now(), someItem("c"), KEEP);
    expect(await ids()).toEqual(["c"]);
  });

  test("an item may have 60 KB, or nothing in it", async () => {
    const { here, there, owner, node, last, now } = await made();
    const large = { ...someItem("large"), payload: Buffer.alloc(LARGE_BYTES, "x") };
    await here.publish(owner, node, large, ONLY);
    expect((await last())?.payload.equals(large.payload)).toBe(true);
    await here.publish(
      owner,
      await now(),
      { ...large, id: "none", payload: Buffer.alloc(0) },
      KEEP,
    );
    expect((await last())?.payload).toEqual(Buffer.alloc(0));
    const items = await there.items(owner, "node", ["large", "none"]);
    expect(items.map(({ payload }) => payload.length).toSorted()).toEqual([0, LARGE_BYTES]);
  });

  test("three hundred items are listed and read whole", async () => {
    const { here, there, owner, ids, now } = await made();
    const all = Array.from({ length: 300 }, (_, index) => `item-${String(index).padStart(4, "0")}`);
    const node = await now();
    await Promise.all(all.map((id) => here.publish(owner, node, someItem(id), KEEP)));
    expect((await ids()).toSorted()).toEqual(all);
    expect(await there.items(owner, "node", all)).toHaveLength(300);
  });
}

/** Declares these tests; see contract.suite.ts. */
export function concurrentPubsubSuite(stores: Open): void {
  test("two writers that make one node at once leave one, with the entries of both", async () => {
    const { here, there } = stores();
    const owner = someUser();
    await Promise.all([
      here.pubsub.create(owner, "node", { config: "x", affiliations: entries(["a", "member"]) }),
      there.pubsub.create(owner, "node", { config: "x", affiliations: entries(["b", "member"]) }),
    ]);
    const nodes = await here.pubsub.list(owner);
    expect(nodes.map(({ name, config }) => `${name} ${config}`)).toEqual(["node x"]);
    expect(nodes[0]?.affiliations).toEqual(entries(["a", "member"], ["b", "member"]));
  });

  test("what two writers publish at once is all kept, and entries do not undo each other", async () => {
    const { here, there } = stores();
    const owner = someUser();
    const node = await here.pubsub.create(owner, "node", { config: "" });
    const ids = Array.from({ length: 20 }, (_, index) => `item-${index}`);
    await Promise.all(
      ids.map(async (id, index) => {
        const { pubsub } = index % 2 === 0 ? here : there;
        await pubsub.publish(owner, node, someItem(id), KEEP);
        await pubsub.change(owner, node, { subscriptions: entries([id, "x"]) });
      }),
    );
    const stored = await here.pubsub.itemIds(owner, "node");
    expect(stored.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    const [read] = await there.pubsub.read(owner, ["node"]);
    expect([...(read?.subscriptions.keys() ?? [])].toSorted()).toEqual(ids.toSorted());
    expect(ids).toContain(read?.last?.id);
  });

  test("a node that is removed while somebody publishes to it is not there, nor is the item later", async () => {
    const { here, there } = stores();
    const owner = someUser();
    const node = await here.pubsub.create(owner, "node", { config: "" });
    const [seen] = await there.pubsub.read(owner, ["node"]);
    await here.pubsub.remove(owner, node);
    await there.pubsub.publish(owner, seen ?? node, someItem("late"), KEEP);
    expect(await here.pubsub.list(owner)).toEqual([]);
    await here.pubsub.create(owner, "node", { config: "new" });
    expect(await there.pubsub.itemIds(owner, "node")).toEqual([]);
    expect((await there.pubsub.read(owner, ["node"]))[0]?.last).toBeUndefined();
  });
}
