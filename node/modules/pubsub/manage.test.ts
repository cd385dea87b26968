import { beforeEach, describe, expect, test } from "vitest";
import { NODE_CONFIG } from "./names.ts";
import type { Client } from "./scene.fixture.ts";
import { bare, form, idsIn, options, outcome, verona } from "./scene.fixture.ts";

let romeo: Client;
let juliet: Client;

beforeEach(async () => {
  ({ romeo, juliet } = await verona());
});

const ROMEO = bare("romeo");
const JULIET = bare("juliet");
const long = "x".repeat(65);
const submit = (fields: Record<string, string>) => form(NODE_CONFIG, fields);

describe("nodes", () => {
  test("are made with a configuration, once, and by their owner", async () => {
    const made = await romeo.set(
      `<create node='new'/><configure>${submit({ "pubsub#title": "New" })}</configure>`,
    );
    expect(made.getChild("pubsub")?.getChild("create")?.attrs.node).toBe("new");
    const shown = await romeo.ownerGet("<configure node='new'/>");
    const field = shown
      .getChild("pubsub")
      ?.getChild("configure")
      ?.getChild("x")
      ?.getChildren("field")
      .find(({ attrs }) => attrs.var === "pubsub#title");
    expect(field?.getChildText("value")).toBe("New");
    expect(outcome(await romeo.set("<create node='new'/>"))).toBe("conflict (cancel)");
    expect(outcome(await juliet.set("<create node='mine'/>", ROMEO))).toBe("forbidden (auth)");
    expect(outcome(await romeo.set(`<create node='${long}'/>`))).toBe("not-acceptable (modify)");
    const secret = `<create node='s'/><configure>${submit({ "pubsub#access_model": "secret" })}</configure>`;
    expect(outcome(await romeo.set(secret))).toBe(
      "not-acceptable unsupported-access-model (modify)",
    );
  });

  test("get a name where none is given", async () => {
    const made = await romeo.set("<create/>");
    const name = made.getChild("pubsub")?.getChild("create")?.attrs.node;
    expect(outcome(await romeo.publish(String(name), "a"))).toBe("result");
  });

  test("keep as much as they are configured to", async () => {
    await romeo.publish("many", "a", options({ "pubsub#max_items": "4" }));
    for (const id of ["b", "c"]) await romeo.publish("many", id);
    await romeo.configure("many", { "pubsub#max_items": "2" });
    expect(idsIn(await romeo.get("<items node='many'/>"))).toEqual(["c", "b"]);
    await romeo.configure("many", { "pubsub#persist_items": "0" });
    expect(idsIn(await romeo.get("<items node='many'/>"))).toEqual(["c"]);
  });

  test("show what they are by default", async () => {
    const answer = await romeo.ownerGet("<default/>");
    const fields = answer
      .getChild("pubsub")
      ?.getChild("default")
      ?.getChild("x")
      ?.getChildren("field");
    const value = (name: string) =>
      fields?.find(({ attrs }) => attrs.var === name)?.getChildText("value");
    expect(value("FORM_TYPE")).toBe(NODE_CONFIG);
    expect(value("pubsub#access_model")).toBe("presence");
    expect(value("pubsub#send_last_published_item")).toBe("on_sub_and_presence");
  });

  test.each([
    ["configure", "<configure node='n'/>", "bad-request (modify)"],
    [
      "configure without a submission",
      `<configure node='n'><x xmlns='jabber:x:data' type='form'/></configure>`,
      "bad-request (modify)",
    ],
    [
      "configure with another form",
      `<configure node='n'>${form("urn:other", {})}</configure>`,
      "bad-request invalid-options (modify)",
    ],
    [
      "configure with nonsense",
      `<configure node='n'>${submit({ "pubsub#max_items": "many" })}</configure>`,
      "bad-request invalid-options (modify)",
    ],
    [
      "configure with too much",
      `<configure node='n'>${submit({ "pubsub#max_items": "5" })}</configure>`,
      "not-acceptable (modify)",
    ],
    ["configure nothing", "<configure/>", "bad-request nodeid-required (modify)"],
    [
      "configure what is not there",
      `<configure node='none'>${submit({})}</configure>`,
      "item-not-found (cancel)",
    ],
    ["delete nothing", "<delete/>", "bad-request nodeid-required (modify)"],
    ["delete what is not there", "<delete node='none'/>", "item-not-found (cancel)"],
    ["purge what is not there", "<purge node='none'/>", "item-not-found (cancel)"],
    [
      "an affiliation without an address",
      "<affiliations node='n'><affiliation affiliation='member'/></affiliations>",
      "bad-request jid-required (modify)",
    ],
    [
      "an affiliation of no address",
      "<affiliations node='n'><affiliation jid='@' affiliation='member'/></affiliations>",
      "bad-request invalid-jid (modify)",
    ],
    [
      "an affiliation that is none",
      `<affiliations node='n'><affiliation jid='${JULIET}' affiliation='king'/></affiliations>`,
      "bad-request (modify)",
    ],
    [
      "a node without its owner",
      `<affiliations node='n'><affiliation jid='${ROMEO}' affiliation='none'/></affiliations>`,
      "not-acceptable (modify)",
    ],
    [
      "too many affiliations",
      `<affiliations node='n'>${["a", "b", "c"].map((name) => `<affiliation jid='${bare(name)}' affiliation='member'/>`).join("")}</affiliations>`,
      "not-acceptable (modify)",
    ],
    [
      "a subscription that is none",
      `<subscriptions node='n'><subscription jid='${JULIET}' subscription='x'/></subscriptions>`,
      "bad-request (modify)",
    ],
    [
      "a subscription of another id",
      `<subscriptions node='n'><subscription jid='${JULIET}' subid='x' subscription='subscribed'/></subscriptions>`,
      "not-acceptable invalid-subid (modify)",
    ],
    ["something unknown", "<paint node='n'/>", "bad-request (modify)"],
  ])("refuse: %s", async (_, wish, expected) => {
    expect(outcome(await romeo.ownerSet(wish))).toBe(expected);
    expect(idsIn(await romeo.get("<items node='n'/>"))).toEqual(["a"]);
  });

  test("a form that is cancelled changes nothing", async () => {
    const cancel = "<configure node='n'><x xmlns='jabber:x:data' type='cancel'/></configure>";
    expect(outcome(await romeo.ownerSet(cancel))).toBe("result");
  });

  test.each([
    ["<configure node='n'/>", "get"],
    ["<default/>", "get"],
    ["<affiliations node='n'/>", "get"],
    ["<subscriptions node='n'/>", "get"],
    [`<configure node='n'>${submit({})}</configure>`, "set"],
    ["<delete node='n'/>", "set"],
    ["<purge node='n'/>", "set"],
    ["<affiliations node='n'/>", "set"],
    ["<subscriptions node='n'/>", "set"],
  ] as const)("are their owner's alone: %s", async (wish, type) => {
    const answer = type === "get" ? juliet.ownerGet(wish, ROMEO) : juliet.ownerSet(wish, ROMEO);
    expect(outcome(await answer)).toBe("forbidden (auth)");
  });
});
