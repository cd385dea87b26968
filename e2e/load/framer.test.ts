import { expect, test } from "vitest";
import { attribute, LoadFramer } from "./framer.ts";

const STREAM =
  "<?xml version='1.0'?><stream:stream id=\"s\" xmlns='jabber:client'>" +
  "<stream:features><bind xmlns='b'/></stream:features> " +
  "<message id='1'><body>a/b</body></message><presence/>\n<iq id='2'><q a='x/'><i/></q></iq>";
const ELEMENTS = ["<stream:stream", "<stream:features", "<message", "<presence", "<iq"];

const namesIn = (chunks: readonly Buffer[]): string[] => {
  const framer = new LoadFramer();
  const found: string[] = [];
  for (const chunk of chunks) {
    framer.push(chunk, (bytes, start, end) => found.push(bytes.toString("latin1", start, end)));
  }
  return found;
};

test("each element is found once, however the stream is cut", () => {
  const bytes = Buffer.from(`${STREAM}</stream:stream>`);
  const whole = namesIn([bytes]);
  expect(whole.map((text) => /^<[\w:]+/.exec(text)?.[0])).toEqual([...ELEMENTS, undefined]);
  expect(whole[2]).toBe("<message id='1'><body>a/b</body></message>");
  for (let at = 1; at < bytes.length; at++) {
    expect(namesIn([bytes.subarray(0, at), bytes.subarray(at)]), `cut at ${at}`).toEqual(whole);
  }
  expect(namesIn([...bytes].map((byte) => Buffer.from([byte])))).toEqual(whole);
});

test("an attribute is read with either quote, and not beyond the element", () => {
  const bytes = Buffer.from(`<message to="x" id="1"/><iq id='2'/>`);
  expect(attribute(bytes, 0, 24, "id")).toBe("1");
  expect(attribute(bytes, 24, bytes.length, "id")).toBe("2");
  expect(attribute(bytes, 24, bytes.length, "to")).toBe("");
  expect(attribute(bytes, 0, 12, "id")).toBe("");
});
