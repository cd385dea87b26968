import { expect, test } from "vitest";
import { parseStreamOpen } from "../xml/parser.ts";
import { checkHeader, readHeader, sharedScope, writeFailure, writeHeader } from "./header.ts";

const DOMAINS = new Set(["localhost", "münchen.example"]);
const open = (attributes: string) =>
  parseStreamOpen(
    Buffer.from(
      `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' ${attributes}>`,
    ),
  );
const check = (attributes: string) => {
  const verdict = checkHeader(readHeader(open(attributes)), DOMAINS);
  return verdict.kind === "accepted" ? verdict.domain : verdict.condition;
};

test("a domain is prepared before it is compared", () => {
  expect(check("version='1.0' to='LocalHost'")).toBe("localhost");
  expect(check("version='1.0' to='MÜNCHEN.example'")).toBe("münchen.example");
  expect(check("version='1.0' to='xn--mnchen-3ya.example'")).toBe("münchen.example");
});

test.each([
  ["version='1.0'", "host-unknown"],
  ["version='1.0' to=''", "host-unknown"],
  ["version='1.0' to='@'", "host-unknown"],
  ["version='1.0' to='localhost/x'", "host-unknown"],
  ["to='localhost'", "unsupported-version"],
  ["version='0.9' to='localhost'", "unsupported-version"],
  ["version='1' to='localhost'", "unsupported-version"],
  ["version='1.0 ' to='localhost'", "unsupported-version"],
])("a header with %s is refused with %s", (attributes, condition) => {
  expect(check(attributes)).toBe(condition);
});

test("later versions are spoken to as 1.0", () => {
  expect(check("version='1.10' to='localhost'")).toBe("localhost");
  expect(check("version='2.0' to='localhost'")).toBe("localhost");
});

test("a sender is echoed without its resource, and left out when it is no address", () => {
  const from = (address: string) => {
    const verdict = checkHeader(
      readHeader(open(`version='1.0' to='localhost' from='${address}'`)),
      DOMAINS,
    );
    return verdict.kind === "accepted" ? verdict.from : "refused";
  };
  expect(from("Romeo@localhost/x")).toBe("romeo@localhost");
  expect(from("@")).toBeUndefined();
});

test("what everybody declares is kept once, anything else as it was", () => {
  const usual = sharedScope(open("version='1.0' to='localhost'").scope);
  expect(sharedScope(open("version='1.0' to='localhost'").scope)).toBe(usual);
  const own = open("xmlns:x='urn:x' version='1.0' to='localhost'").scope;
  expect(sharedScope(own)).toBe(own);
  expect(own.get("x")).toBe("urn:x");
});

test("what we write is escaped", () => {
  expect(`${writeHeader({ from: "localhost", id: "i'd", to: "a'<&@localhost" })}`).not.toContain(
    "<&",
  );
  const failure = `${writeFailure({ condition: "conflict", text: "a < b" })}`;
  expect(failure).toContain("a &lt; b");
  expect(failure.endsWith("</stream:error></stream:stream>")).toBe(true);
});
