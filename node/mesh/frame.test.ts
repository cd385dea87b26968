import fc from "fast-check";
import { expect, test } from "vitest";
import type { Frame } from "./frame.ts";
import { encodeFrames, FrameDecoder, FrameType, MalformedFrame } from "./frame.ts";
import { commonVersion, decodeHello, encodeHello } from "./hello.ts";

const MAX = 100_000;

const frames = fc.array(
  fc.record({
    type: fc.constantFrom(...Object.values(FrameType)),
    code: fc.nat(255),
    sequence: fc.nat(0xffffffff),
    payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  }),
  { maxLength: 20 },
);

/** Cuts at the given places, counted on from one to the next. */
function* chunksOf(bytes: Buffer, cuts: readonly number[]): Generator<Buffer> {
  let at = 0;
  for (let turn = 0; at < bytes.length; turn += 1) {
    const end = at + (cuts[turn % cuts.length] ?? 1);
    yield bytes.subarray(at, end);
    at = end;
  }
}

test("frames come out as they went in, wherever the stream is cut", () => {
  fc.assert(
    fc.property(
      frames,
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 50 }),
      (sent, cuts) => {
        const decoder = new FrameDecoder(MAX);
        const got: Frame[] = [];
        for (const chunk of chunksOf(encodeFrames(sent), cuts)) {
          decoder.push(chunk, (frame) =>
            got.push({ ...frame, payload: Buffer.from(frame.payload) }),
          );
        }
        expect(got).toEqual(sent);
      },
    ),
    { numRuns: 300 },
  );
});

test("frames come out of a stream that arrives byte by byte", () => {
  const payloads = ["", "a", "x".repeat(1_000)].map((text) => Buffer.from(text));
  const sent = payloads.map((payload, sequence) => ({
    type: FrameType.request,
    code: 1,
    sequence,
    payload,
  }));
  const decoder = new FrameDecoder(MAX);
  const got: Frame[] = [];
  for (const byte of encodeFrames(sent)) {
    decoder.push(Buffer.from([byte]), (frame) => got.push(frame));
  }
  expect(got).toEqual(sent);
});

test("a frame of the largest size is read, one byte more is refused before it arrives", () => {
  const encoded = (bytes: number) =>
    encodeFrames([
      { type: FrameType.answer, code: 0, sequence: 1, payload: Buffer.alloc(bytes - 6) },
    ]);
  const got: Frame[] = [];
  new FrameDecoder(64).push(encoded(64), (frame) => got.push(frame));
  expect(got).toHaveLength(1);
  const tooLong = encoded(65).subarray(0, 4);
  expect(() => new FrameDecoder(64).push(tooLong, () => undefined)).toThrow(MalformedFrame);
});

test.each([
  ["a length shorter than a frame's head", Buffer.from([0, 0, 0, 5, 1, 0, 0, 0, 0])],
  ["a length of zero", Buffer.from([0, 0, 0, 0])],
  ["a length beyond the limit", Buffer.from([0xff, 0xff, 0xff, 0xff])],
  ["an unknown type", Buffer.from([0, 0, 0, 6, 99, 0, 0, 0, 0, 1])],
])("the decoder refuses %s, whole or cut", (_, bytes) => {
  expect(() => new FrameDecoder(MAX).push(bytes, () => undefined)).toThrow(MalformedFrame);
  const decoder = new FrameDecoder(MAX);
  expect(() => {
    for (const byte of bytes) decoder.push(Buffer.from([byte]), () => undefined);
  }).toThrow(MalformedFrame);
});

test("the decoder reads or refuses any garbage, and holds at most one frame of it", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 40 }), (chunks) => {
      const decoder = new FrameDecoder(64);
      try {
        for (const chunk of chunks) decoder.push(Buffer.from(chunk), () => undefined);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedFrame);
      }
    }),
    { numRuns: 500 },
  );
});

test("a hello says who and which versions, and may grow at its end", () => {
  const hello = { protocol: { min: 1, max: 3 }, incarnation: "n-1" };
  expect(decodeHello(encodeHello(hello))).toEqual(hello);
  expect(decodeHello(Buffer.concat([encodeHello(hello), Buffer.from("later")]))).toEqual(hello);
});

test("every hello that is cut short or has other first bytes is refused", () => {
  const hello = encodeHello({ protocol: { min: 1, max: 1 }, incarnation: "node" });
  for (let length = 0; length < hello.length; length += 1) {
    expect(() => decodeHello(hello.subarray(0, length))).toThrow(MalformedFrame);
  }
  expect(() => decodeHello(Buffer.from("GET / HTTP/1.1\r\n\r\n"))).toThrow("mesh-magic");
});

test.each([
  [{ min: 1, max: 1 }, { min: 1, max: 2 }, 1],
  [{ min: 1, max: 3 }, { min: 2, max: 5 }, 3],
  [{ min: 1, max: 1 }, { min: 2, max: 2 }, undefined],
  [{ min: 4, max: 5 }, { min: 1, max: 3 }, undefined],
])("versions %o and %o have %s in common", (ours, theirs, version) => {
  expect(commonVersion(ours, theirs)).toBe(version);
  expect(commonVersion(theirs, ours)).toBe(version);
});
