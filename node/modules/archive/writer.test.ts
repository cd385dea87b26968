import { expect, test } from "vitest";
import { Unavailable } from "../../base/errors.ts";
import { FakeClock } from "../../base/fake-clock.ts";
import { silentLog } from "../../base/log.ts";
import type { Archive, ArchivedMessage } from "../../stores/contract.ts";
import { Writer } from "./writer.ts";

const USER = "juliet@capulet.example";

const entry = (id: string) => ({
  user: USER,
  message: { id, peer: "romeo@montague.example", resource: "", bytes: Buffer.alloc(100) },
  origin: { session: "romeo", count: 1 },
  receivedMs: 0,
});

const turns = async () => {
  for (let count = 0; count < 20; count += 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
};

/** A writer to an archive that does with each write what `add` says at the moment. */
function writerTo(add: () => Promise<void>, lateBytesMax = 1_000) {
  const clock = new FakeClock();
  const counts = { archived: 0, late: 0, lost: 0 };
  const attempts: string[] = [];
  const archive = {
    add(_user: string, { id }: ArchivedMessage) {
      attempts.push(id);
      return state.add();
    },
    async ids(user: string) {
      looks.push(user);
      return [];
    },
  } as unknown as Archive;
  const looks: string[] = [];
  const state = { add, mayBeTwice: false };
  const limits = { waitMs: 2_000, lateBytesMax, keptSeconds: 0 };
  const router = { mayBeTwice: () => state.mayBeTwice };
  const writer = new Writer({ archive, clock, router, log: silentLog }, limits, counts);
  return { writer, clock, counts, attempts, looks, state };
}

const away = () => Promise.reject(new Unavailable("store-timeout", "Cannot archive"));
const never = () => new Promise<void>(() => {});

test("a write that hangs is waited for so long and no longer, and tried again", async () => {
  const { writer, clock, counts, attempts, state } = writerTo(never);
  let isAccepted = false;
  void writer.write(entry("a")).then(() => {
    isAccepted = true;
  });
  await turns();
  clock.advance(1_999);
  await turns();
  expect(isAccepted).toBe(false);
  clock.advance(1);
  await turns();
  expect(isAccepted).toBe(true);
  expect(counts).toMatchObject({ late: 1, archived: 0 });
  state.add = () => Promise.resolve();
  clock.advance(1_000);
  await turns();
  expect(counts).toEqual({ late: 0, archived: 1, lost: 0 });
  expect(attempts).toEqual(["a", "a"]);
});

test("while anything is late nobody waits, and what comes is archived in its turn", async () => {
  const { writer, clock, counts, attempts, state } = writerTo(away);
  await writer.write(entry("a"));
  expect(writer.isBehind).toBe(true);
  for (const id of ["b", "c"]) await writer.write(entry(id));
  expect(attempts).toEqual(["a"]);
  clock.advance(1_000);
  await turns();
  expect(counts.late).toBe(3);
  state.add = () => Promise.resolve();
  clock.advance(1_000);
  await turns();
  expect(counts).toEqual({ late: 0, archived: 3, lost: 0 });
  expect(writer.isBehind).toBe(false);
  await writer.write(entry("d"));
  expect(counts.archived).toBe(4);
});

test("what is late is written during half of the time", async () => {
  const { writer, clock, counts, attempts, state } = writerTo(away, 10_000);
  for (let id = 0; id < 40; id += 1) await writer.write(entry(String(id)));
  attempts.length = 0;
  state.add = () => new Promise((resolve) => void clock.after(100, resolve));
  const passes = async (ms: number) => {
    clock.advance(ms);
    await turns();
  };
  await passes(1_000);
  expect(attempts).toHaveLength(16);
  await passes(100);
  await passes(99);
  expect(attempts).toHaveLength(16);
  await passes(1);
  expect(attempts).toHaveLength(32);
  for (let tenths = 0; tenths < 3; tenths += 1) await passes(100);
  expect(counts).toEqual({ late: 0, archived: 40, lost: 0 });
});

test("what may be archived elsewhere is looked for, and nothing else", async () => {
  const bench = writerTo(() => Promise.resolve());
  await bench.writer.write(entry("a"));
  expect(bench.looks).toEqual([]);
  bench.state.mayBeTwice = true;
  await bench.writer.write(entry("a"));
  expect(bench.looks).toEqual([USER, USER]);
  expect(bench.counts).toEqual({ late: 0, archived: 2, lost: 0 });
});

test("there is room for so many bytes, the rest is lost and counted", async () => {
  const { writer, clock, counts, state } = writerTo(away, 250);
  for (const id of ["a", "b", "c", "d"]) await writer.write(entry(id));
  expect(counts).toMatchObject({ late: 2, lost: 2 });
  state.add = () => Promise.resolve();
  clock.advance(1_000);
  await turns();
  expect(counts).toEqual({ late: 0, archived: 2, lost: 2 });
});

test("a failure that will not pass is not tried again", async () => {
  const { writer, counts } = writerTo(() => Promise.reject(new TypeError("a bug")));
  await writer.write(entry("a"));
  expect(counts).toEqual({ late: 0, archived: 0, lost: 1 });
});

test("what is under way for a user can be waited for", async () => {
  const gate = Promise.withResolvers<void>();
  const { writer } = writerTo(() => gate.promise);
  void writer.write(entry("a"));
  void writer.write(entry("b"));
  let isSettled = false;
  void writer.settled(USER).then(() => {
    isSettled = true;
  });
  await writer.settled("nobody@capulet.example");
  await turns();
  expect(isSettled).toBe(false);
  gate.resolve();
  await turns();
  expect(isSettled).toBe(true);
});
