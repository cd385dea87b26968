import { expect, test } from "vitest";
import { detachedBytes } from "./detached.ts";
import type { Element } from "./element.ts";
import { child, children, ns } from "./names.ts";
import { parseElement } from "./parser.ts";

const taken = (xml: string) => {
  const [inner] = children(parseElement(Buffer.from(xml)));
  return detachedBytes(inner as Element).toString();
};

test.each([
  ["<a xmlns='urn:a'><b/></a>", "<b xmlns='urn:a'/>"],
  ["<a xmlns='urn:a'><b xmlns='urn:b'/></a>", "<b xmlns='urn:b'/>"],
  ["<a xmlns='urn:a' xmlns:p='urn:p' xmlns:q='urn:q'><p:b/></a>", "<b xmlns='urn:p'/>"],
  ["<a xmlns:p='urn:p'><b><c p:d='e'/></b></a>", "<b xmlns:p='urn:p'><c p:d='e'/></b>"],
  ["<a xmlns='urn:a'><b xml:lang='en'>t</b></a>", "<b xmlns='urn:a' xml:lang='en'>t</b>"],
])("%s gives %s", (whole, part) => {
  expect(taken(whole)).toBe(part);
});

test("the nearest declaration counts", () => {
  const whole = parseElement(
    Buffer.from("<a xmlns='1' xmlns:p='urn:1'><b xmlns:p='urn:2'><p:c/></b></a>"),
  );
  const inner = child(children(whole)[0] as Element, "c", "urn:2") as Element;
  expect(ns(parseElement(detachedBytes(inner)))).toBe("urn:2");
});
