import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { el } from "../xml/element.ts";
import { CHILDREN_MAX } from "../xml/limits.ts";
import { serialize } from "../xml/write.ts";
import { fromElement } from "./envelope.ts";
import { decodeEnvelope, EnvelopeError, encodeEnvelope } from "./wire.ts";

const sample = (id = "1", children = 2) =>
  fromElement(
    el(
      "message",
      {
        xmlns: "jabber:client",
        type: "chat",
        id,
        from: "r\u00F6meo@b/\u265A",
        to: "juliet@capulet.example",
      },
      Array.from({ length: children }, (_, at) => el("body", { xmlns: `urn:example:${at}` }, "é")),
    ),
    1_767_225_600_123,
  );

const refused = (bytes: Buffer, code = "envelope-malformed") =>
  expect(() => decodeEnvelope(bytes)).toThrow(
    expect.objectContaining({ name: "EnvelopeError", code }),
  );

describe("an envelope through the mesh", () => {
  it("comes out as it went in, without its XML being parsed", () => {
    for (const children of [0, 1, CHILDREN_MAX]) {
      const before = sample("id \u265A", children);
      const after = decodeEnvelope(encodeEnvelope(before));
      for (const key of ["kind", "type", "id", "receivedMs", "children", "from", "to"] as const) {
        expect(after[key], key).toEqual(before[key]);
      }
      expect(after.bytes.equals(before.bytes)).toBe(true);
      expect(serialize(after.element())).toBe(before.bytes.toString());
    }
  });

  it("carries ids of any length and characters", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 50 }), (id) => {
        if (/[^\P{C}]/u.test(id)) return;
        expect(decodeEnvelope(encodeEnvelope(sample(id))).id).toBe(id);
      }),
    );
    const long = "x".repeat(200_000);
    expect(decodeEnvelope(encodeEnvelope(sample(long))).id).toBe(long);
  });

  it("does not hold the frame in memory", () => {
    const encoded = encodeEnvelope(sample());
    const { bytes } = decodeEnvelope(encoded);
    const before = bytes.toString();
    encoded.fill(0);
    expect(bytes.toString()).toBe(before);
  });

  it("skips extensions of a later version", () => {
    const encoded = encodeEnvelope(sample());
    const extensions = Buffer.from([7, 0, 0, 0, 2, 1, 2, 9, 0, 0, 0, 0]);
    encoded.writeUInt32BE(extensions.length, 16);
    expect(decodeEnvelope(Buffer.concat([encoded, extensions])).id).toBe("1");
  });
});

describe("lies", () => {
  const good = encodeEnvelope(sample());
  const changed = (change: (bytes: Buffer) => void) => {
    const bytes = Buffer.from(good);
    change(bytes);
    return bytes;
  };

  it("another version has its own code", () => {
    refused(
      changed((bytes) => bytes.writeUInt8(2, 0)),
      "envelope-version",
    );
  });

  it("an unknown kind", () => {
    for (const kind of [0, 4, 255]) refused(changed((bytes) => bytes.writeUInt8(kind, 1)));
  });

  it("lengths that do not add up", () => {
    for (const at of [8, 12, 16]) {
      for (const length of [1, 1_000_000, 0xffffffff]) {
        refused(changed((bytes) => bytes.writeUInt32BE(length, at)));
      }
    }
  });

  it("any cut and any addition", () => {
    for (let length = 0; length < good.length; length++) refused(good.subarray(0, length));
    refused(Buffer.concat([good, Buffer.from([0])]));
  });

  it("extensions cut short", () => {
    for (const extensions of [[1], [1, 0, 0, 0, 1], [1, 0xff, 0xff, 0xff, 0xff, 0]]) {
      const bytes = Buffer.concat([good, Buffer.from(extensions)]);
      bytes.writeUInt32BE(extensions.length, 16);
      refused(bytes);
    }
  });

  it("more children than a stanza may have", () => {
    const many = encodeEnvelope({ ...sample(), children: sample("1", CHILDREN_MAX + 1).children });
    refused(many);
  });

  it("an odd number of strings, or too few", () => {
    const separator = good.indexOf(0, 20);
    refused(changed((bytes) => bytes.writeUInt8(0x20, separator)));
  });

  it("addresses that are none", () => {
    const at = good.indexOf("juliet@capulet.example");
    refused(changed((bytes) => bytes.write("/".repeat(22), at)));
  });

  it("any damage gives an envelope or an EnvelopeError", () => {
    let decoded = 0;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 })), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.nat({ max: good.length }),
        fc.boolean(),
        (changes, end, isCut) => {
          const bytes = changed((copy) => {
            for (const [at, byte] of changes) copy[at] = byte;
          });
          try {
            const envelope = decodeEnvelope(isCut ? bytes.subarray(0, end) : bytes);
            expect(envelope.children.length).toBeLessThanOrEqual(CHILDREN_MAX);
            decoded += 1;
          } catch (error) {
            expect(error).toBeInstanceOf(EnvelopeError);
          }
        },
      ),
      { numRuns: 10_000 },
    );
    expect(decoded).toBeGreaterThan(100);
  });

  it("random bytes give nothing but an EnvelopeError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expect(() => decodeEnvelope(Buffer.from(bytes))).toThrow(EnvelopeError);
      }),
    );
  });
});
