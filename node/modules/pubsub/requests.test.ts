import { beforeEach, describe, expect, test } from "vitest";
import type { Client } from "./scene.fixture.ts";
import { bare, form, idsIn, options, outcome, publication, Scene } from "./scene.fixture.ts";

const CONFIG = "http://jabber.org/protocol/pubsub#node_config";
const LIMITS = {
  itemsMax: 4,
  nodesMax: 4,
  nameBytesMax: 64,
  payloadBytesMax: 1_024,
  subscriptionsMax: 2,
  affiliationsMax: 2,
  answerBytesMax: 1_024,
};

let scene: Scene;
let romeo: Client;
let juliet: Client;
let tybalt: Client;

/** Romeo's nodes: "n" for contacts, "open", "kept" of two items, "bare" without payloads or items. */
beforeEach(async () => {
  scene = new Scene({ nodes: 2, options: { pep: LIMITS } });
  scene.friends("romeo", "juliet");
  romeo = await scene.client("romeo", 0);
  juliet = await scene.client("juliet", 1);
  tybalt = await scene.client("tybalt", 1);
  await romeo.publish("n", "a");
  await romeo.publish("open", "o", options({ "pubsub#access_model": "open" }));
});

const ROMEO = bare("romeo");
const JULIET = bare("juliet");
const long = "x".repeat(65);
const submit = (fields: Record<string, string>) => form(CONFIG, fields);
const item = (content: string, id = "b") => `<item id='${id}'>${content}</item>`;
const THING = "<thing xmlns='urn:thing'/>";

describe("publishing is refused", () => {
  test.each([
    ["without a node", `<publish>${item(THING)}</publish>`, "bad-request nodeid-required (modify)"],
    [
      "to an empty name",
      `<publish node=''>${item(THING)}</publish>`,
      "bad-request nodeid-required (modify)",
    ],
    ["to too long a name", publication(long, "b"), "not-acceptable (modify)"],
    ["with too long an id", publication("n", long), "not-acceptable (modify)"],
    ["without an item", "<publish node='n'/>", "bad-request item-required (modify)"],
    [
      "without a payload",
      "<publish node='n'><item id='b'/></publish>",
      "bad-request payload-required (modify)",
    ],
    [
      "with two items",
      `<publish node='n'>${item(THING)}${item(THING, "c")}</publish>`,
      "not-allowed max-items-exceeded (cancel)",
    ],
    [
      "with two payloads",
      `<publish node='n'>${item(THING + THING)}</publish>`,
      "bad-request invalid-payload (modify)",
    ],
    [
      "with too large a payload",
      `<publish node='n'>${item(`<thing xmlns='urn:thing'>${"x".repeat(1_025)}</thing>`)}</publish>`,
      "not-acceptable payload-too-big (modify)",
    ],
    [
      "under a condition that does not hold",
      publication("n", "b", options({ "pubsub#access_model": "open" })),
      "conflict precondition-not-met (cancel)",
    ],
    [
      "under a condition that nobody knows",
      publication("n", "b", options({ "pubsub#colour": "red" })),
      "conflict precondition-not-met (cancel)",
    ],
    [
      "to a new node that shall be what nobody knows",
      publication("new", "b", options({ "pubsub#colour": "red" })),
      "conflict precondition-not-met (cancel)",
    ],
    [
      "to a new node with more items than allowed",
      publication("new", "b", options({ "pubsub#max_items": "5" })),
      "not-acceptable (modify)",
    ],
    [
      "to a new node with a value that is none",
      publication("new", "b", options({ "pubsub#persist_items": "x" })),
      "bad-request invalid-options (modify)",
    ],
    [
      "with options of another form",
      publication("n", "b", `<publish-options>${submit({})}</publish-options>`),
      "bad-request invalid-options (modify)",
    ],
  ])("%s", async (_, wish, expected) => {
    expect(outcome(await romeo.set(wish))).toBe(expected);
    expect(idsIn(await romeo.get("<items node='n'/>"))).toEqual(["a"]);
    expect(outcome(await romeo.get("<items node='new'/>"))).toBe("item-not-found (cancel)");
  });

  test("to somebody else's node", async () => {
    expect(outcome(await juliet.publish("n", "b", "", ROMEO))).toBe("forbidden (auth)");
  });

  test("to somebody else's node that does not exist", async () => {
    expect(outcome(await juliet.publish("new", "b", "", ROMEO))).toBe("item-not-found (cancel)");
  });

  test("an item to a node that has none, and a payload of another namespace than the node's", async () => {
    await romeo.set(
      `<create node='none'/><configure>${submit({ "pubsub#persist_items": "0", "pubsub#deliver_payloads": "0" })}</configure>`,
    );
    expect(outcome(await romeo.publish("none", "b"))).toBe("bad-request item-forbidden (modify)");
    await romeo.configure("none", { "pubsub#deliver_payloads": "1", "pubsub#type": "urn:other" });
    expect(outcome(await romeo.publish("none", "b"))).toBe("bad-request invalid-payload (modify)");
    expect(outcome(await romeo.set("<publish node='none'/>"))).toBe(
      "bad-request payload-required (modify)",
    );
  });

  test("to more nodes than an account may have", async () => {
    await romeo.publish("three", "a");
    await romeo.publish("four", "a");
    expect(outcome(await romeo.publish("five", "a"))).toBe(
      "not-allowed max-nodes-exceeded (cancel)",
    );
    expect(outcome(await romeo.set("<create/>"))).toBe("not-allowed max-nodes-exceeded (cancel)");
  });
});

describe("publishing", () => {
  test("answers with the item's id, which the server makes where there is none", async () => {
    const answer = await romeo.set(`<publish node='n'><item>${THING}</item></publish>`);
    const published = answer.getChild("pubsub")?.getChild("publish");
    expect(published?.attrs.node).toBe("n");
    const id = published?.getChild("item")?.attrs.id;
    expect(id).toMatch(/^[\w-]{16}$/);
    expect(idsIn(await romeo.get("<items node='n'/>"))).toEqual([id]);
  });

  test("by a publisher and by whoever may, who is named", async () => {
    const affiliation = `<affiliation jid='${JULIET}' affiliation='publisher'/>`;
    await romeo.ownerSet(`<affiliations node='n'>${affiliation}</affiliations>`);
    expect(outcome(await juliet.publish("n", "j", "", ROMEO))).toBe("result");
    await romeo.configure("open", { "pubsub#publish_model": "open" });
    expect(outcome(await tybalt.publish("open", "t", "", ROMEO))).toBe("result");
    const answer = (await romeo.get("<items node='open'/>")).getChild("pubsub")?.getChild("items");
    expect(answer?.getChild("item")?.attrs).toEqual({ id: "t", publisher: bare("tybalt") });
  });

  test("options are met: by what the node is, and by what it is made", async () => {
    const met = options({ "pubsub#access_model": "presence", "pubsub#max_items": "1" });
    expect(outcome(await romeo.publish("n", "b", met))).toBe("result");
    const made = options({ "pubsub#access_model": "open", "pubsub#max_items": "max" });
    expect(outcome(await romeo.publish("new", "a", made))).toBe("result");
    expect(outcome(await romeo.publish("new", "b", made))).toBe("result");
    expect(idsIn(await tybalt.get("<items node='new'/>", ROMEO))).toEqual(["b", "a"]);
  });

  test("the oldest make room, and an item that comes again is the newest", async () => {
    await romeo.publish("many", "a", options({ "pubsub#max_items": "max" }));
    for (const id of ["b", "c", "d", "a", "e"]) await romeo.publish("many", id);
    expect(idsIn(await romeo.get("<items node='many'/>"))).toEqual(["e", "a", "d", "c"]);
    for (const id of ["x", "y"]) await romeo.publish("n", id);
    expect(idsIn(await romeo.get("<items node='n'/>"))).toEqual(["y"]);
  });

  test("namespaces of a payload that are declared around it stay with it", async () => {
    const wish = "<publish node='n'><item id='p'><p:thing p:at='1'/></item></publish>";
    await romeo.ask(
      "set",
      `<pubsub xmlns='http://jabber.org/protocol/pubsub' xmlns:p='urn:p'>${wish}</pubsub>`,
    );
    const answer = (await juliet.get("<items node='n'/>", ROMEO)).getChild("pubsub");
    const [payload] = answer?.getChild("items")?.getChild("item")?.getChildElements() ?? [];
    expect(payload?.getNS()).toBe("urn:p");
    expect(payload?.attrs["p:at"]).toBe("1");
  });
});

describe("retrieving is refused", () => {
  test.each<[string, string, string, Record<string, string>]>([
    ["without a node", "<items/>", "bad-request nodeid-required (modify)", {}],
    ["of a node that does not exist", "<items node='none'/>", "item-not-found (cancel)", {}],
    ["with a count that is none", "<items node='n' max_items='0'/>", "bad-request (modify)", {}],
    [
      "by a subscription that is not there",
      "<items node='n' subid='x'/>",
      "not-acceptable invalid-subid (modify)",
      {},
    ],
    [
      "with an item that has no id",
      "<items node='n'><item/></items>",
      "bad-request item-required (modify)",
      {},
    ],
    [
      "after an item that is not there",
      "<items node='n'/><set xmlns='http://jabber.org/protocol/rsm'><after>z</after></set>",
      "item-not-found (cancel)",
      {},
    ],
    [
      "with a page size that is none",
      "<items node='n'/><set xmlns='http://jabber.org/protocol/rsm'><max>z</max></set>",
      "bad-request (modify)",
      {},
    ],
  ])("%s", async (_, wish, expected) => {
    expect(outcome(await romeo.get(wish))).toBe(expected);
  });
});

describe("retrieving", () => {
  beforeEach(async () => {
    await romeo.publish("many", "a", options({ "pubsub#max_items": "max" }));
    for (const id of ["b", "c", "d"]) await romeo.publish("many", id);
  });
  const rsm = (content: string) => `<set xmlns='http://jabber.org/protocol/rsm'>${content}</set>`;

  test.each([
    ["all, the newest first", "<items node='many'/>", ["d", "c", "b", "a"]],
    ["the newest", "<items node='many' max_items='2'/>", ["d", "c"]],
    [
      "those that are named, as far as they are there",
      "<items node='many'><item id='a'/><item id='z'/><item id='c'/></items>",
      ["a", "c"],
    ],
    ["a page", `<items node='many'/>${rsm("<max>2</max>")}`, ["d", "c"]],
    ["the next page", `<items node='many'/>${rsm("<max>2</max><after>c</after>")}`, ["b", "a"]],
    ["the last page", `<items node='many'/>${rsm("<max>1</max><before/>")}`, ["a"]],
    ["how many there are", `<items node='many'/>${rsm("<max>0</max>")}`, []],
  ])("%s", async (_, wish, ids) => {
    const answer = await romeo.get(wish);
    expect(idsIn(answer)).toEqual(ids);
    const set = answer.getChild("pubsub")?.getChild("set");
    expect(set?.getChildText("count")).toBe(wish.includes("rsm") ? "4" : undefined);
  });

  test("what is too much for one answer comes in pages, without being asked for", async () => {
    const large = `<thing xmlns='urn:thing'>${"x".repeat(900)}</thing>`;
    for (const id of ["a", "b", "c", "d"]) {
      await romeo.set(`<publish node='many'>${item(large, id)}</publish>`);
    }
    const read: string[] = [];
    for (let after = ""; read.length < 4; ) {
      const answer = await romeo.get(`<items node='many'/>${after === "" ? "" : rsm(after)}`);
      const set = answer.getChild("pubsub")?.getChild("set");
      expect(set?.getChildText("count")).toBe("4");
      expect(idsIn(answer)).not.toEqual([]);
      read.push(...idsIn(answer));
      after = `<after>${set?.getChildText("last")}</after>`;
    }
    expect(read).toEqual(["d", "c", "b", "a"]);
  });

  test("a node without items is empty", async () => {
    await romeo.ownerSet("<purge node='many'/>");
    const answer = await romeo.get("<items node='many'/>");
    expect(answer.getChild("pubsub")?.getChild("items")?.attrs.node).toBe("many");
    expect(idsIn(answer)).toEqual([]);
  });
});

describe("retracting is refused", () => {
  test.each([
    ["without a node", "<retract><item id='a'/></retract>", "bad-request nodeid-required (modify)"],
    [
      "of a node that does not exist",
      "<retract node='none'><item id='a'/></retract>",
      "item-not-found (cancel)",
    ],
    ["without an item", "<retract node='n'/>", "bad-request item-required (modify)"],
    ["without an id", "<retract node='n'><item/></retract>", "bad-request item-required (modify)"],
    [
      "of an item that is not there",
      "<retract node='n'><item id='z'/></retract>",
      "item-not-found (cancel)",
    ],
    [
      "of two, one of which is not there",
      "<retract node='n'><item id='a'/><item id='z'/></retract>",
      "item-not-found (cancel)",
    ],
  ])("%s", async (_, wish, expected) => {
    expect(outcome(await romeo.set(wish))).toBe(expected);
    expect(idsIn(await romeo.get("<items node='n'/>"))).toEqual(["a"]);
  });

  test("to others than the owner and the item's publisher", async () => {
    expect(outcome(await juliet.set("<retract node='n'><item id='a'/></retract>", ROMEO))).toBe(
      "forbidden (auth)",
    );
    await romeo.configure("n", { "pubsub#publish_model": "open" });
    await juliet.publish("n", "j", "", ROMEO);
    expect(outcome(await tybalt.set("<retract node='n'><item id='j'/></retract>", ROMEO))).toBe(
      "forbidden (auth)",
    );
    expect(outcome(await juliet.set("<retract node='n'><item id='j'/></retract>", ROMEO))).toBe(
      "result",
    );
  });

  test("where items are not kept", async () => {
    await romeo.configure("n", { "pubsub#persist_items": "0" });
    expect(outcome(await romeo.set("<retract node='n'><item id='a'/></retract>"))).toBe(
      "feature-not-implemented unsupported=persistent-items (cancel)",
    );
    expect(outcome(await romeo.ownerSet("<purge node='n'/>"))).toBe(
      "feature-not-implemented unsupported=persistent-items (cancel)",
    );
  });
});

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
    expect(value("FORM_TYPE")).toBe(CONFIG);
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
  expect(outcome(answer)).toBe("service-unavailable (cancel)");
});
