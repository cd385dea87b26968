import { expect, test } from "vitest";
import type { ClientSession } from "../session/contract.ts";
import { envelopeOf } from "./envelopes.ts";
import type { About } from "./hand-over.ts";
import type { IncomingParts } from "./incoming.ts";
import { incomingOf } from "./incoming.ts";
import type { SessionRecord, Waiting } from "./session-wire.ts";

const stanza = envelopeOf(
  Buffer.from("<message xmlns='jabber:client' from='a@b/c' to='d@e'><body>f</body></message>"),
  7,
);
const waiting = (count: number, isStored: boolean): Waiting => ({
  stanza,
  about: { origin: { session: "s", count }, isStored, copy: undefined },
});

test("what a client had here is not given again when its session comes back from who took it over", () => {
  const restored: unknown[] = [];
  const note = (_: unknown, __: unknown, { origin }: About) => restored.push(origin?.count);
  const handOver = {
    wasHad: ({ origin }: About) => [1, 3, 5].includes(origin?.count ?? 0),
    restoreRecent() {},
    restore: note,
    restoreHeld: note,
  };
  const parts = { handOver, carried: { import() {} } } as unknown as IncomingParts;
  const record = {
    state: { inherited: 2 },
    waiting: [1, 2, 3, 4].map((count) => waiting(count, false)),
    held: [5, 6].map((count) => waiting(count, false)),
  } as unknown as SessionRecord;
  const incoming = incomingOf(record, parts);
  incoming.install({} as ClientSession);
  expect(incoming.state.waiting).toHaveLength(3); // Inherited ones are counted by place.
  expect(restored).toEqual([1, 2, 4, 6]);
});
