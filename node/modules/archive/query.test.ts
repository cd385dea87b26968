import { describe, expect, test } from "vitest";
import { StanzaError } from "../../stanza/error.ts";
import { idFrom } from "../../stores/archive-id.ts";
import { parseElement } from "../../xml/parser.ts";
import { queryForm, readQuery } from "./query.ts";

const field = (name: string, ...values: string[]) =>
  `<field var='${name}'>${values.map((value) => `<value>${value}</value>`).join("")}</field>`;
const form = (fields: string, type = "submit", formType = "urn:xmpp:mam:2") =>
  `<x xmlns='jabber:x:data' type='${type}'>${field("FORM_TYPE", formType)}${fields}</x>`;
const set = (content: string) => `<set xmlns='http://jabber.org/protocol/rsm'>${content}</set>`;
const read = (content: string) =>
  readQuery(
    parseElement(Buffer.from(`<query xmlns='urn:xmpp:mam:2' queryid='q'>${content}</query>`)),
  );

test("what is asked for is read", () => {
  const fields =
    field("start", "2026-01-01T00:00:00Z") +
    field("end", "2026-01-02T01:00:00.5+01:00") +
    field("with", "Romeo@montague.example") +
    field("after-id", "a") +
    field("before-id", "b") +
    field("ids", "c", "d") +
    field("include-groupchat", "true");
  const query = read(`${form(fields)}${set("<max>10</max><after>e</after>")}<flip-page/>`);
  expect(query).toMatchObject({
    queryId: "q",
    from: idFrom(Date.UTC(2026, 0, 1)),
    before: idFrom(Date.UTC(2026, 0, 2, 0, 0, 0, 501)),
    afterIds: ["a", "e"],
    beforeIds: ["b"],
    ids: ["c", "d"],
    max: 10,
    end: "first",
    isFlipped: true,
  });
  expect(query.with?.full).toBe("romeo@montague.example");
});

test("what is left out is open", () => {
  expect(read("")).toEqual({
    queryId: "q",
    from: undefined,
    before: undefined,
    with: undefined,
    afterIds: [],
    beforeIds: [],
    ids: undefined,
    max: undefined,
    end: "first",
    isFlipped: false,
  });
});

test("a form that comes back without values asks for nothing in particular", () => {
  const untouched = ["start", "end", "with", "ids"].map((name) => field(name)).join("");
  expect(read(form(untouched))).toEqual(read(""));
});

test("pages before a message, and the last page, are at the other end", () => {
  expect(read(set("<before>x</before>"))).toMatchObject({ end: "last", beforeIds: ["x"] });
  expect(read(set("<before/>"))).toMatchObject({ end: "last", beforeIds: [] });
});

describe("what cannot be read is refused", () => {
  test.each([
    ["an unknown field", form(field("{urn:x}text", "a")), "feature-not-implemented"],
    ["a form that is not submitted", form("", "form"), "bad-request"],
    ["a form of another kind", form("", "submit", "urn:xmpp:mam:1"), "bad-request"],
    ["a start that is no time", form(field("start", "yesterday")), "bad-request"],
    ["a start without a zone", form(field("start", "2026-01-01T00:00:00")), "bad-request"],
    ["a day that is none", form(field("end", "2026-02-41T00:00:00Z")), "bad-request"],
    ["two starts", form(field("start", "2026-01-01T00:00:00Z", "x")), "bad-request"],
    ["an address that is none", form(field("with", "@@")), "jid-malformed"],
    ["no truth", form(field("include-groupchat", "perhaps")), "bad-request"],
    ["a page of no number", set("<max>many</max>"), "bad-request"],
    ["a negative page", set("<max>-1</max>"), "bad-request"],
    ["a page by its index", set("<index>7</index>"), "feature-not-implemented"],
    ["a page before and after", set("<after>a</after><before>b</before>"), "bad-request"],
  ])("%s", (_, content, condition) => {
    expect(() => read(content)).toThrow(
      expect.objectContaining({ condition, name: StanzaError.name }),
    );
  });
});

test("the form names all fields, requires none, and lets any id be named", () => {
  const fields = queryForm().getChild("x")?.getChildElements() ?? [];
  expect(fields.map(({ attrs }) => `${attrs.var} ${attrs.type}`)).toEqual([
    "FORM_TYPE hidden",
    "with jid-single",
    "start text-single",
    "end text-single",
    "before-id text-single",
    "after-id text-single",
    "ids list-multi",
    "include-groupchat boolean",
  ]);
  expect(fields[6]?.getChild("validate")?.getChild("open")).toBeDefined();
});
