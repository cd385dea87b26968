import { expect, test } from "vitest";
import { envelopeOf } from "./envelopes.ts";
import { stillHeld } from "./incoming.ts";
import type { SessionRecord, Waiting } from "./session-wire.ts";

const stanza = envelopeOf(
  Buffer.from("<message xmlns='jabber:client' from='a@b/c' to='d@e'><body>f</body></message>"),
  7,
);
const waiting = (count: number, isStored: boolean): Waiting => ({
  stanza,
  about: { origin: { session: "s", count }, isStored, copy: undefined },
});

test("a session that goes on elsewhere is not given what it was given out of the store meanwhile", () => {
  const nameless = { stanza: Buffer.from("<r/>"), about: undefined };
  const held = [waiting(1, false), waiting(2, false), waiting(3, false), nameless];
  const sent = [waiting(1, false), waiting(2, true), nameless];
  const record = { waiting: sent, held } as unknown as SessionRecord;
  expect(stillHeld(record)).toEqual([held[0], held[2], nameless]);
});
