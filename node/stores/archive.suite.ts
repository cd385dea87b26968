/** What every engine must do with archived messages. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ArchiveIds, archiveId, END_ID, FIRST_ID, idAfter, idFrom } from "./archive-id.ts";
import type { ArchivedMessage, ArchiveRange } from "./contract.ts";
import type { OpenedPair } from "./data.suite.ts";
import { AWKWARD, LARGE_BYTES, someCredentials, someUser } from "./data.suite.ts";

type Open = () => OpenedPair;

const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 0, 1);
const ALL: ArchiveRange = { from: FIRST_ID, before: END_ID };
const ROMEO = { peer: "romeo@montague.example", resource: "orchard" };
const FOREVER = 0;

function message(ms: number, sequence: number, fields: Partial<ArchivedMessage> = {}) {
  const id = archiveId(ms, sequence, String(sequence));
  const bytes = Buffer.from(`<message xmlns='jabber:client'><body>${id}</body></message>`);
  return { id, ...ROMEO, bytes, ...fields };
}

const idsOf = (messages: readonly ArchivedMessage[]) => messages.map(({ id }) => id);

/** Declares these tests; see contract.suite.ts. */
export function archiveSuite(stores: Open): void {
  test("messages come back whole, from either end, in order", async () => {
    const { here, there } = stores();
    const user = someUser();
    const messages = AWKWARD.map((text, index) =>
      message(START_MS + index * 10 * DAY_MS, index, {
        peer: `${index}@${text.replaceAll(/[^a-z]/g, "")}.example`,
        resource: text,
        bytes: Buffer.from(text),
      }),
    );
    for (const one of messages.toReversed()) await here.archive.add(user, one, FOREVER);
    expect(await there.archive.page(user, ALL, 100, "first")).toEqual(messages);
    expect(await there.archive.page(user, ALL, 100, "last")).toEqual(messages);
    expect(await there.archive.page(user, ALL, 2, "first")).toEqual(messages.slice(0, 2));
    expect(await there.archive.page(user, ALL, 2, "last")).toEqual(messages.slice(-2));
    expect(await there.archive.page(user, ALL, 0, "last")).toEqual([]);
    expect(await there.archive.page(`${user}x`, ALL, 100, "first")).toEqual([]);
  });

  test("a message archived again, also on another node, is there once", async () => {
    const { here, there } = stores();
    const user = someUser();
    const one = message(START_MS, 1);
    await Promise.all([here, there, here].map(({ archive }) => archive.add(user, one, FOREVER)));
    expect(await here.archive.page(user, ALL, 10, "first")).toEqual([one]);
    const ofPeer = { ...ALL, peer: ROMEO.peer };
    expect(await here.archive.page(user, ofPeer, 10, "first")).toEqual([one]);
  });

  test("large messages and any bytes come back as they were", async () => {
    const { archive } = stores().here;
    const user = someUser();
    const large = message(START_MS, 1, { bytes: Buffer.alloc(LARGE_BYTES, "ä") });
    const any = message(START_MS, 2, {
      bytes: Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
    });
    for (const one of [large, any]) await archive.add(user, one, FOREVER);
    expect(await archive.page(user, ALL, 10, "first")).toEqual([large, any]);
  });

  test("messages are found by their ids, in order, and those that are not there are not", async () => {
    const { archive } = stores().here;
    const user = someUser();
    const messages = [0, 1, 2].map((index) => message(START_MS + index * 8 * DAY_MS, index));
    for (const one of messages) await archive.add(user, one, FOREVER);
    const [first, second, third] = idsOf(messages) as [string, string, string];
    const asked = [third, first, "nonsense", archiveId(START_MS, 5, "x"), "", first];
    expect(idsOf(await archive.get(user, asked))).toEqual([first, third]);
    expect(await archive.get(`${user}x`, [second])).toEqual([]);
    expect(await archive.get(user, [])).toEqual([]);
  });

  test("ids alone are told of a span of time, in order, and no more than wanted", async () => {
    const { here, there } = stores();
    const user = someUser();
    const messages = Array.from({ length: 9 }, (_, day) => message(START_MS + day * DAY_MS, day));
    for (const one of messages.toReversed()) await here.archive.add(user, one, FOREVER);
    const within = (firstDay: number, lastDay: number, limit = 100) =>
      there.archive.ids(user, START_MS + firstDay * DAY_MS, START_MS + lastDay * DAY_MS, limit);
    expect(await within(0, 9)).toEqual(idsOf(messages));
    expect(await within(1, 8)).toEqual(idsOf(messages.slice(1, 8)));
    expect(await within(1, 9, 3)).toEqual(idsOf(messages.slice(1, 4)));
    expect(await there.archive.ids(`${user}x`, START_MS, START_MS + DAY_MS, 100)).toEqual([]);
  });

  test("what is removed is found no more, neither among all nor among its contact's", async () => {
    const { here, there } = stores();
    const user = someUser();
    const messages = [0, 1, 8].map((day) => message(START_MS + day * DAY_MS, day));
    for (const one of messages) await here.archive.add(user, one, FOREVER);
    const [first, second, third] = idsOf(messages) as [string, string, string];
    const removed = [third, first, archiveId(START_MS, 5, "x")];
    for (const { archive } of [here, there]) await archive.remove(user, ROMEO.peer, removed);
    for (const range of [ALL, { ...ALL, peer: ROMEO.peer }]) {
      expect(idsOf(await there.archive.page(user, range, 10, "first"))).toEqual([second]);
    }
    expect(await there.archive.ids(user, START_MS, START_MS + 9 * DAY_MS, 10)).toEqual([second]);
  });

  test("an account that is deleted takes its archive along", async () => {
    const { here, there } = stores();
    const user = someUser();
    await here.accounts.create(user, someCredentials());
    for (let index = 0; index < 80; index += 1) {
      const peer = `${index % 7}@montague.example`;
      await here.archive.add(user, message(START_MS + index * DAY_MS, index, { peer }), FOREVER);
    }
    await there.accounts.delete(user);
    expect(await here.archive.page(user, ALL, 10, "first")).toEqual([]);
    const ofPeer = { ...ALL, peer: "3@montague.example" };
    expect(await here.archive.page(user, ofPeer, 10, "first")).toEqual([]);
  });
}

const PEERS = ["nurse@capulet.example", ROMEO.peer, "mercutio@verona.example"];
const RESOURCES = ["", "orchard", "balcony"];

/** Declares these tests; see contract.suite.ts. */
export function archivePagingSuite(stores: Open): void {
  test("pages of any range and size, from either end, hold every message once and in order", async () => {
    const { here, there } = stores();
    const user = someUser();
    const ids = new ArchiveIds();
    const messages: ArchivedMessage[] = [];
    for (let index = 0, ms = START_MS; index < 120; index += 1) {
      ms += [0, 0, 1, DAY_MS, 5 * DAY_MS][index % 5] as number;
      messages.push({
        id: ids.next(ms, String(index)),
        peer: PEERS[(index * 7) % 3] as string,
        resource: RESOURCES[(index * 5) % 3] as string,
        bytes: Buffer.from(String(index)),
      });
    }
    await Promise.all(messages.map((one) => here.archive.add(user, one, FOREVER)));
    const place = fc.integer({ min: 0, max: messages.length - 1 });
    const bound = fc.oneof(
      place.map((index) => (messages[index] as ArchivedMessage).id),
      place.map((index) => idAfter((messages[index] as ArchivedMessage).id)),
      fc.integer({ min: 0, max: 160 }).map((days) => idFrom(START_MS + days * DAY_MS)),
    );
    const wanted = fc.record({
      from: fc.oneof(fc.constant(FIRST_ID), bound),
      before: fc.oneof(fc.constant(END_ID), bound),
      peer: fc.constantFrom(undefined, ...PEERS, "nobody@verona.example"),
      resource: fc.constantFrom(undefined, ...RESOURCES),
    });
    await fc.assert(
      fc.asyncProperty(
        wanted,
        fc.integer({ min: 1, max: 40 }),
        fc.boolean(),
        async (range, size, isUp) => {
          const { from, before, peer } = range;
          const resource = peer === undefined ? undefined : range.resource;
          const filter = {
            ...(peer !== undefined && { peer }),
            ...(resource !== undefined && { resource }),
          };
          const expected = messages.filter(
            (one) =>
              one.id >= from &&
              one.id < before &&
              (peer === undefined || one.peer === peer) &&
              (resource === undefined || one.resource === resource),
          );
          const read: ArchivedMessage[] = [];
          for (let bounds = { from, before }; ; ) {
            const page = await there.archive.page(
              user,
              { ...bounds, ...filter },
              size,
              isUp ? "first" : "last",
            );
            expect(page.length).toBeLessThanOrEqual(size);
            if (isUp) read.push(...page);
            else read.unshift(...page);
            if (page.length < size) break;
            const edge = (isUp ? page.at(-1) : page[0]) as ArchivedMessage;
            bounds = isUp ? { ...bounds, from: idAfter(edge.id) } : { ...bounds, before: edge.id };
          }
          expect(read).toEqual(expected);
        },
      ),
      { numRuns: 60 },
    );
  });
}
