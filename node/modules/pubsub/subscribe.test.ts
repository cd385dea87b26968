import { beforeEach, describe, expect, test } from "vitest";
import type { Client, Scene } from "./scene.fixture.ts";
import { bare, outcome, verona } from "./scene.fixture.ts";

let scene: Scene;
let romeo: Client;
let juliet: Client;
let tybalt: Client;

beforeEach(async () => {
  ({ scene, romeo, juliet, tybalt } = await verona());
});

const ROMEO = bare("romeo");
const JULIET = bare("juliet");

describe("subscribing is refused", () => {
  const own = `jid='${JULIET}'`;
  test.each([
    ["without a node", `<subscribe ${own}/>`, "bad-request nodeid-required (modify)"],
    ["without an address", "<subscribe node='n'/>", "bad-request jid-required (modify)"],
    ["for no address", "<subscribe node='n' jid='@'/>", "bad-request invalid-jid (modify)"],
    [
      "for somebody else",
      `<subscribe node='n' jid='${bare("tybalt")}'/>`,
      "bad-request invalid-jid (modify)",
    ],
    ["to a node that does not exist", `<subscribe node='none' ${own}/>`, "item-not-found (cancel)"],
    [
      "unsubscribing without a node",
      `<unsubscribe ${own}/>`,
      "bad-request nodeid-required (modify)",
    ],
    [
      "unsubscribing who is not subscribed",
      `<unsubscribe node='n' ${own}/>`,
      "unexpected-request not-subscribed (cancel)",
    ],
    ["unsubscribing somebody else", `<unsubscribe node='n' jid='${ROMEO}'/>`, "forbidden (auth)"],
    ["unsubscribing from nothing", `<unsubscribe node='none' ${own}/>`, "item-not-found (cancel)"],
    [
      "options of a subscription",
      `<options node='n' ${own}/>`,
      "feature-not-implemented unsupported=subscription-options (cancel)",
    ],
  ])("%s", async (_, wish, expected) => {
    expect(outcome(await juliet.set(wish, ROMEO))).toBe(expected);
  });

  test("to who may not read, each with its reason", async () => {
    expect(outcome(await tybalt.subscribe("n", ROMEO))).toBe(
      "not-authorized presence-subscription-required (auth)",
    );
    await romeo.configure("n", { "pubsub#access_model": "roster" });
    expect(outcome(await tybalt.subscribe("n", ROMEO))).toBe(
      "not-authorized not-in-roster-group (auth)",
    );
    await romeo.configure("n", { "pubsub#access_model": "whitelist" });
    expect(outcome(await tybalt.subscribe("n", ROMEO))).toBe("not-allowed closed-node (cancel)");
  });

  test("with a subscription id that is not there, and beyond the limit", async () => {
    await juliet.subscribe("open", ROMEO);
    const wrong = `<unsubscribe node='open' ${own} subid='x'/>`;
    expect(outcome(await juliet.set(wrong, ROMEO))).toBe("not-acceptable invalid-subid (modify)");
    await tybalt.subscribe("open", ROMEO);
    const nurse = await scene.client("nurse");
    expect(outcome(await nurse.subscribe("open", ROMEO))).toBe(
      "policy-violation too-many-subscriptions (wait)",
    );
    const added = `<subscription jid='${bare("nurse")}' subscription='subscribed'/>`;
    expect(
      outcome(await romeo.ownerSet(`<subscriptions node='open'>${added}</subscriptions>`)),
    ).toBe("policy-violation too-many-subscriptions (wait)");
  });
});

test.each([
  ["<default/>", "feature-not-implemented unsupported=retrieve-default-sub (cancel)"],
  ["<options node='n'/>", "feature-not-implemented unsupported=subscription-options (cancel)"],
  ["<paint/>", "bad-request (modify)"],
  ["", "bad-request (modify)"],
  ["<subscriptions node='none'/>", "item-not-found (cancel)"],
  ["<affiliations node='none'/>", "item-not-found (cancel)"],
])("asking for %s: %s", async (wish, expected) => {
  expect(outcome(await romeo.get(wish))).toBe(expected);
});

test("an account that does not exist has no nodes", async () => {
  const answer = await romeo.get("<items node='n'/>", bare("nobody"));
  expect(outcome(answer)).toBe("item-not-found (cancel)");
});
