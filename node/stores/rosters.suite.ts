/** What every engine must do with rosters. */
import { expect, test } from "vitest";
import type { RosterItem, RosterPatch, Stores } from "./contract.ts";
import type { OpenedPair } from "./data.suite.ts";
import { AWKWARD, LARGE_BYTES, someUser } from "./data.suite.ts";

type Open = () => OpenedPair;

const unsetItem: Omit<RosterItem, "contact"> = {
  name: "",
  groups: [],
  to: false,
  from: false,
  ask: false,
  pendingIn: undefined,
  approved: false,
  listed: false,
};

const byContact = (one: RosterItem, other: RosterItem) => (one.contact < other.contact ? -1 : 1);

/** Declares these tests; see contract.suite.ts. */
export function rostersSuite(stores: Open): void {
  test("a roster never written is empty and has the empty version", async () => {
    const user = someUser();
    expect(await stores().here.rosters.load(user)).toEqual({ version: "", items: [] });
    expect(await stores().here.rosters.item(user, "contact@example.org")).toBeUndefined();
  });

  test("every field of an item comes back on another node as it was given", async () => {
    const { here, there } = stores();
    const user = someUser();
    const items = AWKWARD.map(
      (text, index): RosterItem => ({
        contact: `contact${index}@example.org`,
        name: text,
        groups: [text, `${text} again`, "Friends"],
        to: index % 2 === 0,
        from: index % 3 === 0,
        ask: index % 2 === 1,
        pendingIn: index % 2 === 0 ? Buffer.from(`<presence>${text}</presence>`) : undefined,
        approved: index % 3 === 1,
        listed: true,
      }),
    );
    for (const { contact, ...patch } of items) await here.rosters.update(user, contact, patch);
    const roster = await there.rosters.load(user);
    expect([...roster.items].sort(byContact)).toEqual(items);
    for (const item of items) {
      expect(await there.rosters.item(user, item.contact)).toEqual(item);
    }
  });

  test("an update changes the given fields and no other", async () => {
    const { rosters } = stores().here;
    const user = someUser();
    const contact = "romeo@example.org";
    const pendingIn = Buffer.from([0, 255, 60, 62]);
    const steps: readonly RosterPatch[] = [
      { pendingIn },
      { name: "Romeo", groups: ["Montague"], listed: true },
      { to: true, ask: true },
      { ask: false, from: true, pendingIn: undefined },
      { groups: [], name: "" },
      { approved: true, to: false },
    ];
    let expected: RosterItem = { contact, ...unsetItem };
    for (const patch of steps) {
      await rosters.update(user, contact, patch);
      expected = { ...expected, ...patch };
      expect(await rosters.item(user, contact)).toEqual(expected);
      expect((await rosters.load(user)).items).toEqual([expected]);
    }
  });
}

/** Declares these tests; see contract.suite.ts. */
export function rosterBoundsSuite(stores: Open): void {
  test("an item may hold a 60 KB pending stanza and a long name", async () => {
    const { rosters } = stores().here;
    const user = someUser();
    const patch = { pendingIn: Buffer.alloc(LARGE_BYTES, "x"), name: "👋".repeat(1_000) };
    await rosters.update(user, "romeo@example.org", patch);
    const item = await rosters.item(user, "romeo@example.org");
    expect(item?.name).toBe(patch.name);
    expect(item?.pendingIn?.equals(patch.pendingIn)).toBe(true);
  });

  test("a removed item is gone, comes back blank, and others stay", async () => {
    const { here, there } = stores();
    const user = someUser();
    await here.rosters.update(user, "a@example.org", { listed: true, name: "A", to: true });
    await here.rosters.update(user, "b@example.org", { listed: true, name: "B" });
    await there.rosters.remove(user, "a@example.org");
    expect(await here.rosters.item(user, "a@example.org")).toBeUndefined();
    expect((await here.rosters.load(user)).items.map((item) => item.contact)).toEqual([
      "b@example.org",
    ]);
    await there.rosters.update(user, "a@example.org", { listed: true });
    const again = { contact: "a@example.org", ...unsetItem, listed: true };
    expect(await here.rosters.item(user, "a@example.org")).toEqual(again);
  });

  test("rosters of users with near names do not mix", async () => {
    const { rosters } = stores().here;
    const user = someUser();
    await rosters.update(user, "contact@example.org", { listed: true });
    for (const near of [`${user}x`, user.slice(0, -1), `x${user}`, `${user}/`]) {
      expect((await rosters.load(near)).items, near).toEqual([]);
    }
    expect(await rosters.item(user, "contact@example.or")).toBeUndefined();
  });

  test("a roster of 600 contacts is read whole", async () => {
    const { rosters } = stores().here;
    const user = someUser();
    const contacts = Array.from({ length: 600 }, (_, index) => `c${index}@example.org`);
    // Parallel, but few at a time: every change reads the roster.
    for (let start = 0; start < contacts.length; start += 100) {
      const some = contacts.slice(start, start + 100);
      await Promise.all(some.map((contact) => rosters.update(user, contact, { listed: true })));
    }
    const roster = await rosters.load(user);
    expect(roster.items.map((item) => item.contact).sort()).toEqual([...contacts].sort());
  });
}

/** Declares these tests; see contract.suite.ts. */
export function versionsSuite(stores: Open): void {
  test("each update and removal answers the version that the roster then has, never an old one", async () => {
    const { here, there } = stores();
    const user = someUser();
    const seen = new Set([""]);
    const expectNew = async (version: string) => {
      expect(seen).not.toContain(version);
      seen.add(version);
      expect((await here.rosters.load(user)).version).toBe(version);
      expect((await there.rosters.load(user)).version).toBe(version);
    };
    await expectNew(await here.rosters.update(user, "a@example.org", { listed: true }));
    await expectNew(await there.rosters.update(user, "b@example.org", { listed: true }));
    await expectNew(await here.rosters.update(user, "a@example.org", { name: "A" }));
    await expectNew(await there.rosters.update(user, "a@example.org", { name: "" }));
    await expectNew(await here.rosters.update(user, "a@example.org", { name: "A" }));
    await expectNew(await there.rosters.remove(user, "a@example.org"));
    await expectNew(await here.rosters.update(user, "a@example.org", { listed: true }));
    await expectNew(await here.rosters.remove(user, "a@example.org"));
    await expectNew(await there.rosters.remove(user, "b@example.org"));
    await expectNew(await here.rosters.update(user, "b@example.org", { listed: true }));
  });

  test("the version stays when nothing changes in the list", async () => {
    const { here, there } = stores();
    const user = someUser();
    const version = await here.rosters.update(user, "a@example.org", { listed: true });
    expect(await there.rosters.remove(user, "unknown@example.org")).toBe(version);
    const pendingIn = Buffer.from("<presence/>");
    expect(await there.rosters.update(user, "stranger@example.org", { pendingIn })).toBe(version);
    expect((await here.rosters.load(user)).version).toBe(version);
  });

  test("two users with the same contacts do not need the same version to know their own", async () => {
    const { rosters } = stores().here;
    const [one, other] = [someUser(), someUser()];
    const version = await rosters.update(one, "a@example.org", { listed: true });
    await rosters.update(other, "a@example.org", { listed: true });
    expect((await rosters.load(one)).version).toBe(version);
  });
}

/** Declares these tests; see contract.suite.ts. */
export function concurrentRosterSuite(stores: Open): void {
  test("100 updates at once from two nodes are all kept, and no version names two states", async () => {
    const { here, there } = stores();
    const user = someUser();
    const stateOf = new Map<string, string>();
    const look = async (node: Stores) => {
      const { version, items } = await node.rosters.load(user);
      const state = JSON.stringify([...items].sort(byContact));
      expect(stateOf.get(version) ?? state).toBe(state);
      stateOf.set(version, state);
    };
    const nodes = [here, there];
    const writes = Array.from({ length: 100 }, (_, index) => {
      const node = nodes[index % 2] ?? here;
      const patch = { listed: true, name: `name ${index}`, groups: [`group ${index}`] };
      return node.rosters.update(user, `c${index}@example.org`, patch);
    });
    const looks = Array.from({ length: 20 }, (_, index) => look(nodes[index % 2] ?? here));
    const versions = await Promise.all(writes);
    await Promise.all([...looks, look(here), look(there)]);

    const roster = await here.rosters.load(user);
    expect(roster.items.map(({ name }) => name).sort()).toEqual(
      Array.from({ length: 100 }, (_, index) => `name ${index}`).sort(),
    );
    // Each writer's version names a roster with its own item: no two of them can be equal.
    expect(new Set(versions).size).toBeGreaterThan(1);
    const next = await there.rosters.update(user, "c0@example.org", { name: "changed" });
    expect(versions).not.toContain(next);
    expect((await here.rosters.load(user)).version).toBe(next);
  });

  test("flags of one item set at once from two nodes commute", async () => {
    const { here, there } = stores();
    const user = someUser();
    const contact = "romeo@example.org";
    for (let round = 0; round < 10; round += 1) {
      await here.rosters.remove(user, contact);
      await Promise.all([
        here.rosters.update(user, contact, { to: true }),
        there.rosters.update(user, contact, { from: true }),
        here.rosters.update(user, contact, { name: "Romeo", groups: ["Montague"] }),
        there.rosters.update(user, contact, { approved: true, listed: true }),
      ]);
      expect(await here.rosters.item(user, contact)).toEqual({
        contact,
        ...unsetItem,
        to: true,
        from: true,
        name: "Romeo",
        groups: ["Montague"],
        approved: true,
        listed: true,
      });
    }
  });

  test("a removal at the same time as updates of others takes only its own item", async () => {
    const { here, there } = stores();
    const user = someUser();
    await here.rosters.update(user, "gone@example.org", { listed: true });
    const contacts = Array.from({ length: 20 }, (_, index) => `c${index}@example.org`);
    await Promise.all([
      there.rosters.remove(user, "gone@example.org"),
      ...contacts.map((contact) => here.rosters.update(user, contact, { listed: true })),
    ]);
    const { items } = await there.rosters.load(user);
    expect(items.map((item) => item.contact).sort()).toEqual([...contacts].sort());
  });
}
