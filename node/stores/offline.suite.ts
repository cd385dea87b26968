/** What every engine must do with offline messages. */
import { expect, test } from "vitest";
import type { OpenedPair } from "./data.suite.ts";
import { AWKWARD, LARGE_BYTES, someMessage, someUser } from "./data.suite.ts";

type Open = () => OpenedPair;

/** Declares these tests; see contract.suite.ts. */
export function offlineSuite(stores: Open): void {
  test("messages come back whole, the oldest first, at most as many as asked for", async () => {
    const { here, there } = stores();
    const user = someUser();
    const messages = AWKWARD.map((text, index) => someMessage(index, text));
    for (const message of [...messages].reverse()) {
      expect(await here.offline.add(user, message, 100)).toBe(true);
    }
    expect(await there.offline.list(user, 100)).toEqual(messages);
    expect(await there.offline.list(user, 2)).toEqual(messages.slice(0, 2));
    expect(await there.offline.list(user, 2, messages[1]?.id)).toEqual(messages.slice(2, 4));
    expect(await there.offline.list(user, 2, messages.at(-1)?.id)).toEqual([]);
  });

  test("adding a message again changes nothing, also when the user is at the limit", async () => {
    const { here, there } = stores();
    const user = someUser();
    const [one, two] = [someMessage(1), someMessage(2)];
    expect(await here.offline.add(user, one, 2)).toBe(true);
    expect(await there.offline.add(user, one, 2)).toBe(true);
    expect(await here.offline.add(user, two, 2)).toBe(true);
    expect(await there.offline.add(user, one, 2)).toBe(true);
    expect(await here.offline.list(user, 10)).toEqual([one, two]);
  });

  test("a message over the limit is refused and not stored, until one is removed", async () => {
    const { offline } = stores().here;
    const user = someUser();
    for (let index = 0; index < 3; index += 1) {
      expect(await offline.add(user, someMessage(index), 3)).toBe(true);
    }
    expect(await offline.add(user, someMessage(3), 3)).toBe(false);
    expect(await offline.list(user, 10)).toHaveLength(3);
    await offline.remove(user, [someMessage(0).id]);
    expect(await offline.add(user, someMessage(3), 3)).toBe(true);
    expect((await offline.list(user, 10)).map(({ id }) => id)).toEqual(
      [1, 2, 3].map((index) => someMessage(index).id),
    );
  });

  test("a message of 60 KB and one of any bytes come back as they were", async () => {
    const { offline } = stores().here;
    const user = someUser();
    const large = { ...someMessage(1), bytes: Buffer.alloc(LARGE_BYTES, "ä") };
    const anyBytes = {
      ...someMessage(2),
      bytes: Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
    };
    await offline.add(user, large, 10);
    await offline.add(user, anyBytes, 10);
    expect(await offline.list(user, 10)).toEqual([large, anyBytes]);
  });
}

/** Declares these tests; see contract.suite.ts. */
export function offlineRemovalSuite(stores: Open): void {
  test("remove takes exactly the named messages, and repeating it does no harm", async () => {
    const { here, there } = stores();
    const user = someUser();
    const messages = Array.from({ length: 60 }, (_, index) => someMessage(index));
    await Promise.all(messages.map((message) => here.offline.add(user, message, 100)));
    const isRemoved = (index: number) => index < 30 || index % 10 === 0;
    const ids = messages.filter((_, index) => isRemoved(index)).map(({ id }) => id);
    await there.offline.remove(user, ids);
    const left = messages.filter((_, index) => !isRemoved(index));
    expect(await here.offline.list(user, 100)).toEqual(left);
    await here.offline.remove(user, [...ids, "never-there"]);
    await here.offline.remove(user, []);
    expect(await there.offline.list(user, 100)).toEqual(left);
  });

  test("messages of users with near names do not mix", async () => {
    const { offline } = stores().here;
    const user = someUser();
    await offline.add(user, someMessage(1), 10);
    expect(await offline.list(`${user}x`, 10)).toEqual([]);
    await offline.remove(`${user}x`, [someMessage(1).id]);
    await offline.remove(user.slice(0, -1), [someMessage(1).id]);
    expect(await offline.list(user, 10)).toHaveLength(1);
  });
}

/** Declares these tests; see contract.suite.ts. */
export function concurrentOfflineSuite(stores: Open): void {
  test("one message added ten times at once by two nodes is stored once", async () => {
    const { here, there } = stores();
    const user = someUser();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        (index % 2 === 0 ? here : there).offline.add(user, someMessage(1), 100),
      ),
    );
    expect(answers).toEqual(Array(10).fill(true));
    expect(await here.offline.list(user, 10)).toEqual([someMessage(1)]);
  });

  test("what is added while older messages are removed stays", async () => {
    const { here, there } = stores();
    const user = someUser();
    // Odd ones are there first and are removed; even ones, between them in order, arrive meanwhile.
    const messages = Array.from({ length: 80 }, (_, index) => someMessage(index));
    const first = messages.filter((_, index) => index % 2 === 1);
    const later = messages.filter((_, index) => index % 2 === 0);
    await Promise.all(first.map((message) => here.offline.add(user, message, 1_000)));
    const ids = first.map(({ id }) => id);
    const answers = await Promise.all([
      there.offline.remove(user, ids),
      ...later.map((message) => here.offline.add(user, message, 1_000)),
    ]);
    expect(answers.slice(1)).toEqual(Array(40).fill(true));
    expect(await there.offline.list(user, 1_000)).toEqual(later);
  });

  test("the limit holds within the number of writers when two nodes add at once", async () => {
    const { here, there } = stores();
    const user = someUser();
    const add = (index: number) =>
      (index % 2 === 0 ? here : there).offline.add(user, someMessage(index), 20);
    const answers: boolean[] = [];
    for (let index = 0; index < 60; index += 4) {
      const some = [index, index + 1, index + 2, index + 3];
      answers.push(...(await Promise.all(some.map(add))));
    }
    const stored = await here.offline.list(user, 1_000);
    expect(stored).toHaveLength(answers.filter(Boolean).length);
    expect(stored.length).toBeGreaterThanOrEqual(20);
    expect(stored.length).toBeLessThan(24);
  });
}
