import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MOVES_MAX } from "../routes/contract.ts";
import {
  decodeConflict,
  decodeDeliver,
  decodeDeliverAnswer,
  decodeFailedLogins,
  decodeMissed,
  decodeMissedQuery,
  decodeOffline,
  decodeOwnRoutes,
  decodeRoutes,
  encodeConflict,
  encodeDeliver,
  encodeDeliverAnswer,
  encodeFailedLogins,
  encodeMissed,
  encodeMissedQuery,
  encodeOffline,
  encodeOwnRoutes,
  encodeRoutes,
} from "./frames.ts";
import { BadFrame } from "./octets.ts";

const revision = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const name = fc.string({ minLength: 1, maxLength: 40, unit: "grapheme" });
const origin = fc.option(fc.record({ session: name, count: revision }), { nil: undefined });
const route = fc.record(
  {
    ...{ resource: name, node: name, session: name, available: fc.boolean() },
    priority: fc.integer({ min: -128, max: 127 }),
    moves: fc.integer({ min: 1, max: MOVES_MAX }),
  },
  { requiredKeys: ["resource", "node", "session", "available", "priority"] },
);
const userRoutes = fc
  .record({ user: name, revision, routes: fc.array(route, { maxLength: 5 }) })
  .map((made) => ({
    user: made.user,
    set: {
      revision: made.revision,
      routes: made.routes.map((one) => ({ user: made.user, ...one })),
    },
  }));
const deliver = fc.record({
  recipients: fc.array(fc.record({ full: name, session: name, revision }), {
    minLength: 1,
    maxLength: 20,
  }),
  envelope: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  origin,
  stamped: fc.boolean(),
  again: fc.boolean(),
  rerouted: fc.boolean(),
  follows: fc.boolean(),
  goesOn: fc.boolean(),
  copy: fc.constantFrom(undefined, "sent" as const, "received" as const),
});
const answer = fc.record({
  delivered: fc.array(fc.boolean(), { maxLength: 20 }),
  newer: fc.array(userRoutes, { maxLength: 3 }),
});

describe("what is encoded is read back", () => {
  test("failed logins", () => {
    const counts = fc
      .array(fc.tuple(name, fc.integer({ min: 1, max: 65_535 })), { maxLength: 20 })
      .map((pairs) => new Map(pairs));
    fc.assert(
      fc.property(fc.record({ addresses: counts, accounts: counts }), (report) => {
        expect(decodeFailedLogins(encodeFailedLogins(report))).toEqual(report);
      }),
    );
  });

  test("deliver", () => {
    fc.assert(
      fc.property(deliver, (frame) => {
        expect(decodeDeliver(encodeDeliver(frame))).toEqual(frame);
      }),
    );
  });

  test("its answer", () => {
    fc.assert(
      fc.property(answer, (made) => {
        const decoded = decodeDeliverAnswer(encodeDeliverAnswer(made), made.delivered.length);
        expect(decoded).toEqual(made);
      }),
    );
  });

  test("what a session missed", () => {
    fc.assert(
      fc.property(fc.array(deliver, { maxLength: 5 }), name, userRoutes, (frames, owner, made) => {
        expect(decodeMissed(encodeMissed(frames.map(encodeDeliver)))).toEqual(frames);
        for (const route of made.set.routes) {
          expect(decodeMissedQuery(encodeMissedQuery({ route, owner }))).toEqual({ route, owner });
        }
      }),
    );
  });

  test("routes, conflict and offline", () => {
    fc.assert(
      fc.property(userRoutes, (made) => {
        expect(decodeRoutes(encodeRoutes(made))).toEqual(made);
        for (const route of made.set.routes) {
          const frame = { route, condition: "conflict" };
          expect(decodeConflict(encodeConflict(frame))).toEqual(frame);
        }
        expect(decodeOffline(encodeOffline(made.user))).toBe(made.user);
      }),
    );
  });
});

/** A later version puts more in front; this one reads past it. */
const extended = (payload: Buffer) =>
  Buffer.concat([Buffer.from([0, 3, 1, 2, 3]), payload.subarray(2)]);

test("what a later version adds is skipped", () => {
  fc.assert(
    fc.property(deliver, userRoutes, (frame, made) => {
      expect(decodeDeliver(extended(encodeDeliver(frame)))).toEqual(frame);
      expect(decodeRoutes(extended(encodeRoutes(made)))).toEqual(made);
      const own = { isPublished: made.set.routes.length > 1, routes: made.set.routes };
      expect(decodeOwnRoutes(extended(encodeOwnRoutes(own)), made.user)).toEqual(own);
    }),
  );
});

describe("what is not valid is refused", () => {
  const decoders = [
    decodeDeliver,
    decodeRoutes,
    decodeConflict,
    decodeOffline,
    decodeMissed,
    decodeMissedQuery,
    (payload: Buffer) => decodeOwnRoutes(payload, "a@b"),
    (payload: Buffer) => decodeDeliverAnswer(payload, 1),
  ];

  test("any bytes: a frame or BadFrame, nothing else", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        for (const decode of decoders) {
          try {
            decode(Buffer.from(bytes));
          } catch (error) {
            expect(error).toBeInstanceOf(BadFrame);
          }
        }
      }),
    );
  });

  test("a frame cut short anywhere before its envelope", () => {
    const frame = {
      recipients: [{ full: "a@b/c", session: "s", revision: 7 }],
      envelope: Buffer.alloc(0),
      origin: { session: "s", count: 1 },
      stamped: false,
      copy: undefined,
      again: false,
      rerouted: false,
      follows: false,
      goesOn: false,
    };
    const whole = encodeDeliver(frame);
    for (let length = 0; length < whole.length; length += 1) {
      expect(() => decodeDeliver(whole.subarray(0, length))).toThrow(BadFrame);
    }
  });

  test("more recipients than allowed, none, and an answer for others", () => {
    const many = Buffer.from([0, 0, 0, 0xff, 0xff]);
    expect(() => decodeDeliver(many)).toThrow(/at most 1000/);
    expect(() => decodeDeliver(Buffer.from([0, 0, 0, 0, 0]))).toThrow(/no recipient/);
    const one = encodeDeliverAnswer({ delivered: [true], newer: [] });
    expect(() => decodeDeliverAnswer(one, 2)).toThrow(/other recipients/);
  });
});
