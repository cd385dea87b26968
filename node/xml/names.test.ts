import { describe, expect, it } from "vitest";
import { el } from "./element.ts";
import { child, children, isNamed, localName, ns, text, XML_NS } from "./names.ts";

const tree = () => {
  const inner = el("c");
  const unbound = el("b", { xmlns: "" }, inner);
  const prefixed = el("p:d");
  const top = el(
    "a",
    { xmlns: "u", "xmlns:p": "v" },
    "x",
    unbound,
    prefixed,
    "y",
    el("xml:e"),
    el("b"),
  );
  return { top, unbound, inner, prefixed };
};

describe("names", () => {
  it("ns follows defaults, prefixes and their undoing", () => {
    const { top, unbound, inner, prefixed } = tree();
    expect([top, unbound, inner, prefixed].map(ns)).toEqual(["u", "", "", "v"]);
    expect(ns(el("xml:a"))).toBe(XML_NS);
    expect(ns(el("q:a"))).toBe("");
    expect(ns(el("a"))).toBe("");
  });

  it("ns is not fooled by names of the object prototype", () => {
    expect(ns(el("a", { hasOwnProperty: "1", xmlns: "u" }))).toBe("u");
    expect(ns(el("constructor:a"))).toBe("");
  });

  it("ns walks deep trees", () => {
    let last = el("a", { xmlns: "u" });
    for (let level = 0; level < 50_000; level++) {
      const next = el("a");
      last.cnode(next);
      last = next;
    }
    expect(ns(last)).toBe("u");
  });

  it("child and children select by name and namespace", () => {
    const { top, unbound, prefixed } = tree();
    expect(child(top, "b", "")).toBe(unbound);
    expect(child(top, "d", "v")).toBe(prefixed);
    expect(child(top, "d", "u")).toBeUndefined();
    expect(children(top)).toHaveLength(4);
    expect(children(top, "b")).toHaveLength(2);
    expect(children(top, "b", "u")).toHaveLength(1);
    expect(isNamed(prefixed, "d")).toBe(true);
    expect(localName(prefixed)).toBe("d");
  });

  it("text joins the direct character data", () => {
    expect(text(tree().top)).toBe("xy");
    expect(text(el("a"))).toBe("");
  });
});
