import { describe, expect, test } from "vitest";
import { parseElement } from "../../xml/parser.ts";
import { partsOf, verificationString, verOf } from "./verification.ts";

const info = (content: string) =>
  parseElement(
    Buffer.from(`<query xmlns='http://jabber.org/protocol/disco#info'>${content}</query>`),
  );
const form = (fields: string) => `<x xmlns='jabber:x:data' type='result'>${fields}</x>`;
const field = (name: string, values: readonly string[], type = "") =>
  `<field var='${name}'${type}>${values.map((value) => `<value>${value}</value>`).join("")}</field>`;
const typed = (type: string, fields = "") =>
  form(field("FORM_TYPE", [type], " type='hidden'") + fields);

const SIMPLE =
  "<identity category='client' type='pc' name='Exodus 0.9.1'/>" +
  "<feature var='http://jabber.org/protocol/caps'/>" +
  "<feature var='http://jabber.org/protocol/disco#info'/>" +
  "<feature var='http://jabber.org/protocol/disco#items'/>" +
  "<feature var='http://jabber.org/protocol/muc'/>";

describe("the examples of XEP-0115", () => {
  test("5.2: a client with features", () => {
    const string = verificationString(info(SIMPLE)) as string;
    expect(verOf(string, "sha-1")).toBe("QgayPKawpkPSDYmwT/WM94uAlu0=");
    expect(partsOf(string)).toContain("http://jabber.org/protocol/muc");
  });

  test("5.3: identities in two languages and a form", () => {
    const software = typed(
      "urn:xmpp:dataforms:softwareinfo",
      field("ip_version", ["ipv4", "ipv6"]) +
        field("os", ["Mac"]) +
        field("os_version", ["10.5.1"]) +
        field("software", ["Psi"]) +
        field("software_version", ["0.11"]),
    );
    const query = info(
      "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>" +
        "<identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>" +
        SIMPLE.slice(SIMPLE.indexOf("<feature")) +
        software,
    );
    expect(verOf(verificationString(query) as string, "sha-1")).toBe(
      "q07IKJEyjvHSyhy//CH0CxmKi8w=",
    );
  });
});

describe("5.4: what is ill-formed is not believed", () => {
  test.each([
    [
      "the same identity twice",
      "<identity category='a' type='b'/><identity category='a' type='b'/>",
    ],
    ["the same feature twice", "<feature var='a'/><feature var='a'/>"],
    ["two forms of one type", typed("a") + typed("a")],
    ["a form of two types", typed("a", field("FORM_TYPE", ["b"], " type='hidden'"))],
    ["a form type with two values", form(field("FORM_TYPE", ["a", "b"], " type='hidden'"))],
  ])("%s", (_, content) => {
    expect(verificationString(info(content))).toBeUndefined();
  });

  test.each([
    ["a form without a type", form(field("a", ["b"]))],
    ["a form whose type is not hidden", form(field("FORM_TYPE", ["a"]) + field("b", ["c"]))],
  ])("%s does not count", (_, content) => {
    expect(verificationString(info(`<feature var='f'/>${content}`))).toBe("f<");
  });
});

test("documents with the same string are believed the same, whatever they call its parts", () => {
  const honest = verificationString(info("<feature var='a'/><feature var='z+notify'/>")) as string;
  const forged = verificationString(info(`<feature var='a'/>${typed("z+notify")}`)) as string;
  expect(forged).toBe(honest);
  expect(partsOf(forged)).toEqual(partsOf(honest));
});
