import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FakeClock } from "../../base/fake-clock.ts";
import { archiveId } from "../../stores/archive-id.ts";
import { Cluster, DOMAIN } from "../testing/cluster.ts";
import { MemoryStores } from "../testing/memory-stores.ts";
import { take } from "../testing/read.ts";
import { Weather } from "../testing/weather.ts";
import { addOnce, namesOf } from "./once.ts";

const USER = "juliet@capulet.example";
const PEER = { peer: "romeo@montague.example", resource: "" };
const BYTES = Buffer.from("<message/>");

test("however nodes write the same message at once, it is there once in the end", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.array(fc.nat(3), { minLength: 2, maxLength: 4 }),
      async (seed, ages) => {
        const clock = new FakeClock();
        const weather = new Weather(seed);
        const stores = new MemoryStores(weather, () => clock.nowMs());
        const { archive } = stores.of(() => true);
        const nowMs = clock.nowMs();
        const ids = ages.map((age, node) => archiveId(nowMs - age, node, "romeo 1"));
        const others = archiveId(nowMs, 9, "romeo 2");
        const world = { archive, clock };
        const written = Promise.all([
          archive.add(USER, { id: others, ...PEER, bytes: BYTES }, 0),
          ...ids.map((id) => addOnce(world, USER, { id, ...PEER, bytes: BYTES }, 0)),
        ]);
        await weather.settle();
        await written;
        const left = stores.archived(USER).map(({ id }) => id);
        expect(left).toHaveLength(2);
        expect(left).toContain(others);
        expect(ids).toContain(left.find((id) => id !== others));
      },
    ),
    { numRuns: 300 },
  );
});

test("what was archived long before it is sent again, or by a clock that is ahead, is found", async () => {
  const clock = new FakeClock();
  const weather = new Weather(1, true);
  const { archive } = new MemoryStores(weather, () => clock.nowMs()).of(() => true);
  const world = { archive, clock };
  const named = (afterMs: number) => archiveId(clock.nowMs() + afterMs, 0, "romeo 1");
  const ids = [named(-3_500_000), named(500_000)];
  for (const id of ids) await archive.add(USER, { id, ...PEER, bytes: BYTES }, 0);
  expect(await namesOf(world, USER, named(0))).toEqual(ids);
  expect(await namesOf(world, USER, archiveId(clock.nowMs(), 0, "romeo 2"))).toEqual([]);
});

const ROMEO = `romeo@${DOMAIN}`;
const JULIET = `juliet@${DOMAIN}`;

async function twoOnline() {
  const cluster = new Cluster({ nodes: 2 });
  for (const user of [ROMEO, JULIET]) cluster.stores.addUser(user);
  const [first, last] = [cluster.node(0), cluster.node(1)];
  const romeo = await first.login(`${ROMEO}/orchard`);
  const juliet = await last.login(`${JULIET}/balcony`);
  await first.send(romeo, "<presence/>");
  await last.send(juliet, "<presence/>");
  await cluster.settle();
  take(juliet);
  return { cluster, first, last, romeo, juliet };
}

describe("what comes in at two nodes is archived once", () => {
  const CHAT = `<message to='${JULIET}' type='chat' id='a'><body>a</body></message>`;

  /** His node had it as his second stanza. */
  async function sentAgain({ cluster, last, romeo }: Awaited<ReturnType<typeof twoOnline>>) {
    cluster.clock.advance(100);
    Object.assign(romeo, { sent: 1, mayRepeat: true });
    await last.send(romeo, CHAT);
    await cluster.settle();
  }

  async function names({ cluster }: Awaited<ReturnType<typeof twoOnline>>) {
    cluster.clock.advance(1_000);
    await cluster.settle();
    return [ROMEO, JULIET].map((user) => cluster.stores.archived(user).map(({ id }) => id));
  }

  test.each([
    ["lost its lease since it took it", "first", "second"],
    ["had no lease when it took it", "", "second"],
    ["has none any more", "first", ""],
  ])("when one is late with it and %s", async (_, then, now) => {
    const opened = await twoOnline();
    const { cluster, first, romeo, juliet } = opened;
    first.routes.tenure = then;
    cluster.stores.archiveFails = true;
    await first.send(romeo, CHAT);
    await cluster.settle();
    cluster.stores.archiveFails = false;
    first.routes.tenure = now;
    await sentAgain(opened);
    const theirs = [ROMEO, JULIET].map((user) => cluster.stores.archived(user)[0]?.id);
    expect(await names(opened)).toEqual(theirs.map((id) => [id]));
    expect(take(juliet, "message")).toHaveLength(1);
  });

  test("when one delivers it only after that", async () => {
    const opened = await twoOnline();
    const { cluster, first, romeo } = opened;
    const open = Promise.withResolvers<void>();
    const find = first.routes.find.bind(first.routes);
    first.routes.find = (user, isFresh) => open.promise.then(() => find(user, isFresh));
    void first.send(romeo, CHAT);
    await cluster.settle();
    await sentAgain(opened);
    first.routes.tenure = "second";
    cluster.clock.advance(1_000);
    open.resolve();
    await cluster.settle();
    expect((await names(opened)).map((ids) => ids.length)).toEqual([1, 1]);
  });

  test("when the other cannot look for it at first", async () => {
    const opened = await twoOnline();
    const { cluster, first, romeo } = opened;
    await first.send(romeo, CHAT);
    await cluster.settle();
    const before = [ROMEO, JULIET].map((user) => cluster.stores.archived(user)[0]?.id);
    cluster.stores.archiveFails = true;
    await sentAgain(opened);
    cluster.stores.archiveFails = false;
    expect(await names(opened)).toEqual(before.map((id) => [id]));
  });

  test("nothing is looked for when it is written at once, or late under one lease", async () => {
    const opened = await twoOnline();
    const { cluster, first, romeo } = opened;
    for (const tenure of ["", "second"]) {
      first.routes.tenure = tenure;
      await first.send(romeo, CHAT);
      await cluster.settle();
    }
    cluster.stores.archiveFails = true;
    await first.send(romeo, CHAT);
    await cluster.settle();
    cluster.stores.archiveFails = false;
    expect((await names(opened)).map((ids) => ids.length)).toEqual([3, 3]);
    expect(cluster.stores.archiveLooks).toBe(0);
  });
});
