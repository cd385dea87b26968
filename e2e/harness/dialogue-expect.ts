/**
 * Compares what arrived with what a dialogue expects. The rules are those that
 * e2e/dialogues/README.md tells the writer of a dialogue.
 */
import type { Element } from "ltx";
import { elementsOf, textOf } from "./dialogue-reader.ts";

/** What `{name}` stands for. */
export type Bindings = ReadonlyMap<string, string>;

export type Verdict =
  | { readonly kind: "match"; readonly bindings: Bindings }
  | { readonly kind: "mismatch"; readonly why: string };

const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/; // XEP-0082
/** Markers that say how children are compared; not text that must arrive. */
const MORE = "{more}";
const IN_ORDER = "{in order}";

const match = (bindings: Bindings): Verdict => ({ kind: "match", bindings });
const mismatch = (why: string): Verdict => ({ kind: "mismatch", why });

/** Puts the values of known names into a text. @throws Error for a name that is not known. */
export function fillIn(text: string, bindings: Bindings, encode = (value: string) => value) {
  return text.replace(/\{([^{}]+)\}/g, (_, name: string) => {
    const value = bindings.get(name);
    if (value === undefined) throw new Error(`Cannot fill in {${name}}: nothing has that name`);
    return encode(value);
  });
}

function compareValue(expected: string, actual: string, bindings: Bindings): Verdict {
  const name = /^\{([^{}]+)\}$/.exec(expected)?.[1];
  if (name === "any") return actual === "" ? mismatch("it is empty") : match(bindings);
  if (name === "time") {
    return DATE_TIME.test(actual) ? match(bindings) : mismatch(`${actual} is not a date and time`);
  }
  if (name?.includes("|")) {
    return name.split("|").includes(actual) ? match(bindings) : mismatch(`it is "${actual}"`);
  }
  if (name !== undefined && !bindings.has(name)) {
    return match(new Map([...bindings, [name, actual]]));
  }
  const wanted = fillIn(expected, bindings);
  return wanted === actual ? match(bindings) : mismatch(`it is "${actual}", not "${wanted}"`);
}

function compareAttributes(expected: Element, actual: Element, bindings: Bindings): Verdict {
  let known = bindings;
  for (const [name, value] of Object.entries(expected.attrs as Record<string, string>)) {
    if (name === "xmlns" || name.startsWith("xmlns:")) continue;
    const got = actual.attrs[name] as string | undefined;
    if (value === "{none}") {
      if (got === undefined) continue;
      return mismatch(`attribute ${name}="${got}" should not be there`);
    }
    if (got === undefined) return mismatch(`attribute ${name} is missing`);
    const verdict = compareValue(value, got, known);
    if (verdict.kind === "mismatch") return mismatch(`attribute ${name}: ${verdict.why}`);
    known = verdict.bindings;
  }
  return match(known);
}

/** Finds a received child for each expected one, trying every way to pair them. */
function pairChildren(
  expected: readonly Element[],
  actual: readonly Element[],
  isOrdered: boolean,
  bindings: Bindings,
): { verdict: Verdict; rest: readonly Element[] } {
  const [first, ...others] = expected;
  if (first === undefined) return { verdict: match(bindings), rest: actual };
  const reasons: string[] = [];
  for (const [index, candidate] of actual.entries()) {
    const verdict = compare(first, candidate, bindings);
    if (verdict.kind === "mismatch") {
      if (candidate.getName() === first.getName()) reasons.push(verdict.why);
      continue;
    }
    const before = actual.slice(0, index);
    const after = actual.slice(index + 1);
    const remaining = isOrdered ? after : [...before, ...after];
    const result = pairChildren(others, remaining, isOrdered, verdict.bindings);
    if (result.verdict.kind === "match") {
      return isOrdered ? { ...result, rest: [...before, ...result.rest] } : result;
    }
    reasons.push(result.verdict.why);
  }
  const why = reasons.length > 0 ? ` (${[...new Set(reasons)].slice(0, 3).join("; ")})` : "";
  return { verdict: mismatch(`no child like ${first.toString()}${why}`), rest: actual };
}

/** XEP-0359: what a message is called in an archive, which is on nearly every one. */
const isNameOfServer = (child: Element): boolean => child.is("stanza-id", "urn:xmpp:sid:0");

function compareContent(expected: Element, actual: Element, bindings: Bindings): Verdict {
  const text = textOf(expected);
  const isError = expected.attrs.type === "error" || expected.getName() === "error";
  const isOpen = text.includes(MORE) || isError;
  const children = elementsOf(expected);
  const wanted = text.replace(MORE, "").replace(IN_ORDER, "");
  if (children.length === 0 && wanted.trim() !== "") {
    const verdict = compareValue(wanted, textOf(actual), bindings);
    if (verdict.kind === "mismatch") return mismatch(`text of <${expected.name}>: ${verdict.why}`);
    return verdict;
  }
  const isOrdered = text.includes(IN_ORDER);
  const { verdict, rest } = pairChildren(children, elementsOf(actual), isOrdered, bindings);
  if (verdict.kind === "mismatch" || isOpen) return verdict;
  const unexpected = rest.find((child) => !isNameOfServer(child));
  if (unexpected !== undefined) return mismatch(`unexpected child ${unexpected.toString()}`);
  if (textOf(actual).trim() !== "") return mismatch(`unexpected text in <${expected.name}>`);
  return verdict;
}

/** A stanza whose type is not told must have none; for a message "normal" says the same. */
function compareType(expected: Element, actual: Element): string | undefined {
  const got = actual.attrs.type as string | undefined;
  if (expected.attrs.type !== undefined || got === undefined) return undefined;
  if (expected.getName() === "message" && got === "normal") return undefined;
  return `attribute type="${got}" should not be there`;
}

/** Compares one element and all in it. Captured names are in the bindings of a match. */
function compare(expected: Element, actual: Element, bindings: Bindings): Verdict {
  if (expected.getName() !== actual.getName() || expected.getNS() !== actual.getNS()) {
    return mismatch(`<${actual.name}> of ${actual.getNS()} is another element`);
  }
  const attributes = compareAttributes(expected, actual, bindings);
  if (attributes.kind === "mismatch") return attributes;
  return compareContent(expected, actual, attributes.bindings);
}

/** Compares a stanza with what is expected of it. */
export function compareStanza(expected: Element, actual: Element, bindings: Bindings): Verdict {
  const type = compareType(expected, actual);
  return type === undefined ? compare(expected, actual, bindings) : mismatch(type);
}
