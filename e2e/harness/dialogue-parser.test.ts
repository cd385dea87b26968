import { describe, expect, test } from "vitest";
import { parseDialogue } from "./dialogue-parser.ts";

const HEAD = "Title\nspecification: RFC 6121\nusers: romeo\n\n";
const parse = (steps: string) => parseDialogue("x.dialogue", HEAD + steps);

describe("a dialogue", () => {
  test("has a head and steps, and remembers their lines", () => {
    const dialogue = parse("# comment\nromeo/a comes online with priority -5\n\nromeo/a binds\n");
    expect(dialogue).toMatchObject({ title: "Title", specification: "RFC 6121", users: ["romeo"] });
    expect(dialogue.steps).toEqual([
      { line: 6, who: ["romeo/a"], action: { kind: "come-online", priority: -5 } },
      { line: 8, who: ["romeo/a"], action: { kind: "bind" } },
    ]);
  });

  test("names several clients at once", () => {
    expect(parse("romeo/a, romeo/b#2 and romeo/c receive nothing").steps[0]?.who).toEqual([
      "romeo/a",
      "romeo/b#2",
      "romeo/c",
    ]);
  });

  test("keeps the lines under a step, without their margin", () => {
    const [step] = parse("romeo/a sends\n    <a>\n      <b/>\n    </a>\n\n# end\n").steps;
    expect(step?.action).toEqual({ kind: "send", asBytes: false, text: "<a>\n  <b/>\n</a>" });
  });

  test("may send a name that it has received before", () => {
    const steps = 'romeo/a receives\n  <iq id="{i}"/>\nromeo/a sends\n  <iq id="{i}"/>';
    expect(parse(steps).steps).toHaveLength(2);
  });

  test.each([
    ["a name that nobody gave", 'romeo/a sends\n  <iq id="{i}"/>', /x.dialogue:5.*\{i\}/],
    ["a verb that nobody knows", "romeo/a dances", /:5.*"dances"/],
    ["a verb without its XML", "romeo/a sends", /without XML/],
    ["XML that is none", "romeo/a receives\n  <iq><a></iq>", /Cannot read XML/],
    ["a client of nobody", "paris/a binds", /paris is not a user/],
    ["a sentence without a subject", "Romeo!", /nobody does anything/],
  ])("is refused with %s", (_, steps, message) => {
    expect(() => parse(steps)).toThrow(message);
  });

  test.each([
    ["without a specification", "Title\nusers: romeo\n\nromeo/a binds", /specification/],
    ["with a header that nobody knows", "Title\nactors: romeo\n\nromeo/a binds", /a header is/],
    ["without steps", "Title\nspecification: x\n", /says nothing/],
  ])("is refused %s", (_, text, message) => {
    expect(() => parseDialogue("x.dialogue", text)).toThrow(message);
  });
});
