import { expect, test } from "vitest";
import { ConfigError } from "../base/errors.ts";
import type { RosterService } from "./contract.ts";
import {
  bounce,
  CONSUME,
  counter,
  defineModule,
  FIRST,
  gauge,
  inline,
  iq,
  PASS,
  service,
  stage,
} from "./contract.ts";
import { MODULES, optionsOf } from "./index.ts";
import { openRouter } from "./open-router.ts";
import type { SharedHost } from "./registry.ts";
import { inOrder, load } from "./registry.ts";
import { Cluster } from "./testing/cluster.ts";

const host = {
  log: { child: () => undefined },
  clusterFor: () => undefined,
} as unknown as SharedHost;
const published = {} as RosterService;
const plain = (name: string, needs: readonly "roster"[] = []) =>
  defineModule({ name, about: name, needs, setup: () => [] });
const provider = (name: string) =>
  defineModule({
    name,
    about: name,
    provides: ["roster"],
    setup: () => [service("roster", published)],
  });

test("modules come after those that provide what they need", () => {
  const order = inOrder([plain("a", ["roster"]), plain("b"), provider("c")]);
  expect(order.map(({ name }) => name)).toEqual(["c", "a", "b"]);
});

test("a module receives the services it needs, and no other", () => {
  const seen: unknown[] = [];
  const asks = defineModule({
    name: "asks",
    about: "asks",
    needs: ["roster"],
    setup: ({ roster }) => {
      seen.push(roster);
      return [];
    },
  });
  const silent = defineModule({
    name: "silent",
    about: "silent",
    setup: (given) => {
      seen.push("roster" in given);
      return [];
    },
  });
  load([asks, silent, provider("p")], host, {});
  expect(seen).toEqual([published, false]);
});

test.each([
  ["a service nobody provides", [plain("a", ["roster"])], /no module provides "roster"/],
  ["a service that two provide", [provider("a"), provider("b")], /a provides "roster" already/],
  ["a module that stands there twice", [plain("a"), plain("a")], /in the list twice/],
  [
    "a service that is promised and not published",
    [defineModule({ name: "a", about: "a", provides: ["roster"], setup: () => [] })],
    /it says it provides/,
  ],
  [
    "a feature that two enable inline",
    ["a", "b"].map((name) =>
      defineModule({ name, about: "x", setup: () => [inline("ns", () => undefined)] }),
    ),
    /two of them enable ns inline/,
  ],
  [
    "modules that need each other",
    [
      defineModule({
        name: "a",
        about: "a",
        needs: ["roster"],
        provides: ["roster"],
        setup: () => [],
      }),
    ],
    /they need each other: a -> a/,
  ],
])("%s is refused at boot", (_, modules, message) => {
  expect(() => load(modules, host, {})).toThrow(ConfigError);
  expect(() => load(modules, host, {})).toThrow(message);
});

const withModules =
  (...modules: readonly ReturnType<typeof plain>[]) =>
  () =>
    new Cluster({ nodes: 1, modules });

test.each([
  ["a stage that does not exist", [stage("sideways" as never, FIRST, (() => PASS) as never)]],
  ["a place that is none", [stage("inbound", -1, () => PASS)]],
  [
    "two handlers of one module at one place",
    [stage("inbound", FIRST, () => CONSUME), stage("inbound", FIRST, () => bounce("gone"))],
  ],
  [
    "two answers to one request",
    [
      iq.get("server", "ns", "query", () => undefined),
      iq.get("server", "ns", "query", () => undefined),
    ],
  ],
])("%s is refused at boot", (_, registrations) => {
  const module = defineModule({ name: "bad", about: "bad", setup: () => registrations });
  expect(withModules(module)).toThrow(/Cannot load module bad: /);
});

test("an option that is wrong or unknown is refused at boot", () => {
  expect(() => new Cluster({ nodes: 1, options: { offline: { messagesMax: 0 } } })).toThrow(
    /Cannot load module offline/,
  );
  expect(() => new Cluster({ nodes: 1, options: { offline: { messageMax: 1 } } })).toThrow(
    /Cannot load module offline/,
  );
});

test("every module says what it is about and has a section of options", () => {
  const moduleOptions = optionsOf(MODULES);
  for (const { name, about } of MODULES) {
    expect(about).toMatch(/^[A-Z].*\.$/);
    expect(moduleOptions[name]?.parse(undefined)).toBeTypeOf("object");
  }
});

test("modules cannot use the router before it is there", () => {
  const eager = defineModule({
    name: "eager",
    about: "eager",
    setup: ({ router }) => {
      router.nowMs();
      return [];
    },
  });
  expect(withModules(eager)).toThrow(/modules are being set up/);
  expect(openRouter).toBeTypeOf("function");
});

test("what a module counts is read where it was declared", () => {
  let count = () => {};
  const counting = defineModule({
    name: "counting",
    about: "counting",
    metrics: { seen: counter("Things seen."), kept: gauge("Things kept.") },
    setup: ({ counts }) => {
      count = () => {
        counts.seen += 1;
      };
      return [];
    },
  });
  const { counts } = load([counting, plain("other")], host, {});
  expect(counts).toEqual({ counting: { seen: 0, kept: 0 }, other: {} });
  count();
  expect(counts.counting?.seen).toBe(1);
});
