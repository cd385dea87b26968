import { describe, expect, test } from "vitest";
import type { StanzaError } from "../../stanza/error.ts";
import type { Affiliation, Asker } from "./access.ts";
import {
  AFFILIATIONS,
  mayPublish,
  mayRetract,
  readingRefusal,
  subscribingRefusal,
} from "./access.ts";
import type { AccessModel, NodeConfig } from "./config.ts";

const config = (accessModel: AccessModel, more: Partial<NodeConfig> = {}): NodeConfig =>
  ({ accessModel, rosterGroups: ["Friends"], publishModel: "publishers", ...more }) as NodeConfig;

const stranger: Asker = {
  affiliation: "none",
  seesPresence: false,
  groups: [],
  subscription: undefined,
};
const contact: Asker = { ...stranger, seesPresence: true };
const friend: Asker = { ...contact, groups: ["Friends", "Others"] };
const subscriber: Asker = { ...stranger, subscription: "subscribed" };
const waiting: Asker = { ...stranger, subscription: "pending" };

const said = (refusal: StanzaError | undefined): string =>
  refusal === undefined
    ? "yes"
    : [refusal.condition, refusal.application?.name].filter(Boolean).join(" ");

describe("who may read", () => {
  test.each<[AccessModel, string, Asker, string]>([
    ["open", "a stranger", stranger, "yes"],
    ["presence", "a stranger", stranger, "not-authorized presence-subscription-required"],
    [
      "presence",
      "a subscriber who lost the presence",
      subscriber,
      "not-authorized presence-subscription-required",
    ],
    ["presence", "a contact", contact, "yes"],
    ["roster", "a contact", contact, "not-authorized not-in-roster-group"],
    ["roster", "a friend", friend, "yes"],
    ["authorize", "a stranger", stranger, "not-authorized not-subscribed"],
    ["authorize", "a contact", contact, "not-authorized not-subscribed"],
    ["authorize", "who waits", waiting, "not-authorized not-subscribed"],
    ["authorize", "a subscriber", subscriber, "yes"],
    ["whitelist", "a friend", friend, "not-allowed closed-node"],
    ["whitelist", "a subscriber", subscriber, "not-allowed closed-node"],
  ])("%s: %s: %s", (model, _, asker, expected) => {
    expect(said(readingRefusal(config(model), asker))).toBe(expected);
  });

  const models: AccessModel[] = ["open", "presence", "roster", "authorize", "whitelist"];
  test.each(models)("%s: affiliations come before it", (model) => {
    const as = (affiliation: Affiliation) =>
      said(readingRefusal(config(model), { ...stranger, affiliation }));
    for (const affiliation of ["owner", "publisher", "member"] as const)
      expect(as(affiliation)).toBe("yes");
    for (const affiliation of ["outcast", "publish-only"] as const)
      expect(as(affiliation)).toBe("forbidden");
  });
});

test("everybody may ask to be authorized, and otherwise who may read may subscribe", () => {
  expect(said(subscribingRefusal(config("authorize"), stranger))).toBe("yes");
  expect(
    said(subscribingRefusal(config("authorize"), { ...stranger, affiliation: "outcast" })),
  ).toBe("forbidden");
  for (const model of ["open", "presence", "roster", "whitelist"] as const) {
    for (const asker of [stranger, contact, friend]) {
      const [reading, subscribing] = [
        readingRefusal(config(model), asker),
        subscribingRefusal(config(model), asker),
      ];
      expect(said(subscribing)).toBe(said(reading));
    }
  }
});

describe("who may publish", () => {
  test.each<[NodeConfig["publishModel"], Affiliation[]]>([
    ["publishers", ["owner", "publisher", "publish-only"]],
    ["open", ["owner", "publisher", "publish-only", "member", "none"]],
    ["subscribers", ["owner", "publisher", "publish-only"]],
  ])("%s: %s", (publishModel, allowed) => {
    for (const affiliation of AFFILIATIONS) {
      const may = mayPublish(config("open", { publishModel }), { ...stranger, affiliation });
      expect(may, affiliation).toBe(allowed.includes(affiliation));
    }
  });

  test("subscribers, if it is theirs to", () => {
    const open = config("open", { publishModel: "subscribers" });
    expect(mayPublish(open, subscriber)).toBe(true);
    expect(mayPublish(open, waiting)).toBe(false);
    expect(mayPublish(open, { ...subscriber, affiliation: "outcast" })).toBe(false);
  });
});

test("owners remove everything, others what they published, outcasts nothing", () => {
  const as = (affiliation: Affiliation, isOwn: boolean) =>
    mayRetract({ ...stranger, affiliation }, isOwn);
  expect(as("owner", false)).toBe(true);
  expect(as("publisher", false)).toBe(false);
  expect(as("publisher", true)).toBe(true);
  expect(as("none", true)).toBe(true);
  expect(as("outcast", true)).toBe(false);
});
