import { describe, expect, test } from "vitest";
import type { Route } from "../routes/contract.ts";
import type { Otherwise } from "./rules.ts";
import { elsewhere, noSuchAccount, otherwise, select } from "./rules.ts";

const route = (resource: string, priority: number, available = true): Route => ({
  user: "juliet@capulet.example",
  resource,
  node: "node",
  session: `s-${resource}`,
  available,
  priority,
});
const HIGH = route("high", 10);
const ZERO = route("zero", 0);
const NEGATIVE = route("negative", -1);
const CONNECTED = route("connected", 0, false);
const ALL = [HIGH, ZERO, NEGATIVE, CONNECTED];

type Row = readonly [kind: "message" | "presence" | "iq", type: string, resource: string];

/** RFC 6121, section 8.5 and its table 1: which of ALL take it, by resource. */
const TAKEN: readonly (readonly [...Row, readonly string[]])[] = [
  ["message", "normal", "", ["high", "zero"]],
  ["message", "chat", "", ["high", "zero"]],
  ["message", "headline", "", ["high", "zero"]],
  ["message", "groupchat", "", []],
  ["message", "error", "", []],
  ["message", "normal", "negative", ["negative"]],
  ["message", "chat", "connected", ["connected"]],
  ["message", "headline", "zero", ["zero"]],
  ["message", "groupchat", "zero", ["zero"]],
  ["message", "error", "zero", ["zero"]],
  ["message", "normal", "gone", []],
  ["message", "chat", "gone", ["high", "zero"]],
  ["message", "headline", "gone", []],
  ["message", "groupchat", "gone", []],
  ["message", "error", "gone", []],
  ["presence", "available", "", ["high", "zero", "negative"]],
  ["presence", "unavailable", "", ["high", "zero", "negative"]],
  ["presence", "available", "connected", ["connected"]],
  ["presence", "available", "gone", []],
  ["presence", "subscribe", "", ["high", "zero", "negative"]],
  ["presence", "subscribe", "gone", ["high", "zero", "negative"]],
  ["presence", "subscribed", "", ["high", "zero", "negative", "connected"]],
  ["presence", "unsubscribe", "", ["high", "zero", "negative", "connected"]],
  ["presence", "unsubscribed", "", ["high", "zero", "negative", "connected"]],
  ["presence", "error", "", []],
  ["iq", "get", "zero", ["zero"]],
  ["iq", "result", "connected", ["connected"]],
  ["iq", "get", "gone", []],
  ["iq", "result", "", []],
];

test.each(TAKEN)("%s of type %s to '%s' goes to %j", (kind, type, resource, expected) => {
  const taken = select({ kind, type, resource }, ALL);
  expect(taken.map((one) => one.resource)).toEqual(expected);
  expect(select({ kind, type, resource }, [])).toEqual([]);
});

test("a message is never for resources of negative priority alone", () => {
  for (const type of ["normal", "chat", "headline"]) {
    expect(select({ kind: "message", type, resource: "" }, [NEGATIVE, CONNECTED])).toEqual([]);
  }
});

const NOBODY: readonly (readonly [...Row, Otherwise])[] = [
  ["message", "normal", "", "unavailable"],
  ["message", "chat", "", "unavailable"],
  ["message", "chat", "gone", "unavailable"],
  ["message", "normal", "gone", "bounce"],
  ["message", "groupchat", "", "bounce"],
  ["message", "groupchat", "gone", "bounce"],
  ["message", "headline", "", "ignore"],
  ["message", "headline", "gone", "ignore"],
  ["message", "error", "", "ignore"],
  ["presence", "available", "", "ignore"],
  ["presence", "subscribe", "", "ignore"],
  ["iq", "get", "gone", "bounce"],
  ["iq", "set", "gone", "bounce"],
  ["iq", "result", "gone", "ignore"],
  ["iq", "error", "gone", "ignore"],
];

test.each(NOBODY)("%s of type %s to '%s' that nobody takes: %s", (kind, type, resource, what) => {
  expect(otherwise({ kind, type, resource })).toBe(what);
});

describe("without an account", () => {
  test.each([
    ["message", "normal", "bounce"],
    ["message", "chat", "bounce"],
    ["message", "groupchat", "bounce"],
    ["message", "headline", "ignore"],
    ["message", "error", "ignore"],
    ["presence", "subscribe", "ignore"],
    ["iq", "get", "bounce"],
    ["iq", "error", "ignore"],
  ] as const)("%s of type %s: %s", (kind, type, what) => {
    expect(noSuchAccount({ kind, type, resource: "" })).toBe(what);
  });
});

test("what a session could not deliver goes to the others that take messages", () => {
  expect(elsewhere(ALL, HIGH.session)).toEqual([ZERO]);
  expect(elsewhere([NEGATIVE, CONNECTED], "s")).toEqual([]);
});
