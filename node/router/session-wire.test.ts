import fc from "fast-check";
import { expect, test } from "vitest";
import { envelopeOf } from "./envelopes.ts";
import { decodeSession, encodeSession } from "./session-wire.ts";

const ENVELOPE = envelopeOf(
  Buffer.from("<message xmlns='jabber:client' from='a@b/c' to='d@e'><body>f</body></message>"),
  7,
);
const ROUTE = {
  user: "d@e",
  resource: "r",
  node: "node-1",
  session: "s",
  available: true,
  priority: 1,
};

const waiting = fc.oneof(
  fc.record({
    stanza: fc.constant(Buffer.from("<iq xmlns='jabber:client'/>")),
    about: fc.constant(undefined),
  }),
  fc.record({
    stanza: fc.constant(ENVELOPE),
    about: fc.record({
      origin: fc.option(fc.record({ session: fc.string(), count: fc.nat() }), { nil: undefined }),
      isStored: fc.boolean(),
      copy: fc.constantFrom(undefined, "mere" as const, "owed" as const),
    }),
  }),
);

test("a session arrives with all that waits for it, and what is known of each stanza", () => {
  fc.assert(
    fc.property(fc.array(waiting), fc.array(waiting), (sent, held) => {
      const state = {
        route: ROUTE,
        lang: "de",
        mayRepeat: true,
        inherited: 7,
        windowMs: 1,
        received: 2,
        countedFrom: 3,
        acknowledged: 4,
      };
      const carried = new Map([["carbons", Buffer.from("true")]]);
      const recent = [{ session: "t", count: 5 }];
      const all = { state, waiting: sent, held, carried, recent };
      const record = decodeSession(encodeSession(all));
      expect(record.recent).toEqual(recent);
      expect(record.state).toEqual(state);
      expect(record.carried).toEqual(carried);
      const abouts = (list: readonly { about: unknown }[]) => list.map(({ about }) => about);
      expect(abouts(record.waiting)).toEqual(abouts(sent));
      expect(abouts(record.held)).toEqual(abouts(held));
      for (const { stanza } of record.waiting) {
        expect(Buffer.isBuffer(stanza) || stanza.bytes.equals(ENVELOPE.bytes)).toBe(true);
      }
    }),
  );
});
