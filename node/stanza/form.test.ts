import { expect, test } from "vitest";
import { parseElement } from "../xml/parser.ts";
import { formElement, formIn, readForm } from "./form.ts";

const parse = (xml: string) => parseElement(Buffer.from(xml));

test("a form is read by variable, its type apart", () => {
  const form = formIn(
    parse(
      "<configure><x xmlns='jabber:x:data' type='submit'>" +
        "<field var='FORM_TYPE' type='hidden'><value>urn:example</value></field>" +
        "<field var='a'><value>1</value><value>2</value></field><field var='b'/>" +
        "</x></configure>",
    ),
  );
  expect(form?.type).toBe("submit");
  expect(form?.formType).toBe("urn:example");
  expect([...(form?.fields ?? [])]).toEqual([
    ["a", ["1", "2"]],
    ["b", []],
  ]);
});

test("what is no form is none, and an empty one says nothing", () => {
  expect(formIn(parse("<configure><x xmlns='urn:other'/></configure>"))).toBeUndefined();
  expect(readForm(parse("<x xmlns='jabber:x:data'/>"))).toEqual({
    type: "",
    formType: "",
    fields: new Map(),
  });
});

test("a variable that stands twice counts once, and one without a name not at all", () => {
  const form = readForm(
    parse(
      "<x xmlns='jabber:x:data'><field><value>0</value></field>" +
        "<field var='a'><value>1</value></field><field var='a'><value>2</value></field></x>",
    ),
  );
  expect([...form.fields]).toEqual([["a", ["1"]]]);
});

test("a form that is written reads the same", () => {
  const written = formElement("form", "urn:example", [
    { name: "a", type: "list-single", label: "A", values: ["x"], choices: [{ value: "x" }] },
    { name: "b", values: ["1", "2"] },
  ]);
  const form = readForm(written);
  expect(form.formType).toBe("urn:example");
  expect([...form.fields]).toEqual([
    ["a", ["x"]],
    ["b", ["1", "2"]],
  ]);
});
