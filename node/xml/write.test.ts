import { Element as LtxElement } from "ltx";
import { describe, expect, it } from "vitest";
import { el } from "./element.ts";
import { XmlWriteError } from "./errors.ts";
import { OWN_DEPTH_MAX } from "./limits.ts";
import { escapeAttribute, escapeText, serialize, toBytes } from "./write.ts";

describe("serialize", () => {
  it("escapes text and attributes", () => {
    expect(serialize(el("a", { b: "<>&\"'\t\r\n" }, "<>&\"'\t\r\n", "]]>"))).toBe(
      "<a b='&lt;&gt;&amp;&quot;&apos;&#x9;&#xD;&#xA;'>&lt;&gt;&amp;\"'\t&#xD;\n]]&gt;</a>",
    );
  });

  it("escapes an element with a single text, which ltx.stringify does not", () => {
    expect(serialize(new LtxElement("body").t("<evil/>&"))).toBe("<body>&lt;evil/&gt;&amp;</body>");
  });

  it("leaves out undefined attributes and children", () => {
    expect(serialize(el("a", { b: undefined, c: "" }, undefined, [undefined, el("d")]))).toBe(
      "<a c=''><d/></a>",
    );
  });

  it("writes UTF-8", () => {
    expect(toBytes(el("a", {}, "é😀")).toString("utf8")).toBe("<a>é😀</a>");
  });

  it("refuses characters that XML cannot carry", () => {
    for (const text of [
      "\0",
      "\u0001",
      "\u000B",
      "\u001F",
      "\uFFFE",
      "\uFFFF",
      "\uD800",
      "a\uDC00",
    ]) {
      expect(() => serialize(el("a", {}, text))).toThrow(XmlWriteError);
      expect(() => serialize(el("a", { b: text }))).toThrow(XmlWriteError);
      expect(() => escapeText(text)).toThrow(XmlWriteError);
      expect(() => escapeAttribute(text)).toThrow(XmlWriteError);
    }
    expect(serialize(el("a", {}, "\t\n\u007F\u0085\uFFFD"))).toBe("<a>\t\n\u007F\u0085\uFFFD</a>");
  });

  it("refuses bad names", () => {
    for (const name of ["", "a b", "a>", "1", "a:b:c", ":a", "a:", "a:1", "-", "a\n", "×"]) {
      expect(() => serialize(el(name)), name).toThrow(XmlWriteError);
      expect(() => serialize(el("a", { [name]: "" })), name).toThrow(XmlWriteError);
    }
    for (const name of ["a", "a:b", "_", "é", "a-1.b", "stream:features"]) {
      expect(serialize(el(name))).toBe(`<${name}/>`);
    }
  });

  it("writes deep trees, refuses deeper ones, and ends on a loop", () => {
    const nested = (levels: number) => {
      const top = el("a");
      let last = top;
      for (let level = 1; level < levels; level++) {
        const next = el("a");
        last.cnode(next);
        last = next;
      }
      return { top, last };
    };
    expect(serialize(nested(OWN_DEPTH_MAX).top)).toContain("<a/>");
    expect(() => serialize(nested(OWN_DEPTH_MAX + 1).top)).toThrow("too many levels");
    expect(() => serialize(nested(20_000).top)).toThrow(XmlWriteError);
    const loop = nested(3);
    loop.last.children.push(loop.top);
    expect(() => serialize(loop.top)).toThrow(XmlWriteError);
  });

  it("refuses children that are neither text nor elements", () => {
    const element = el("a");
    (element.children as unknown[]).push({});
    expect(() => serialize(element)).toThrow(XmlWriteError);
  });

  it("writes names of the object prototype as any other", () => {
    expect(serialize(el("a", { constructor: "1" }))).toBe("<a constructor='1'/>");
  });
});
