import { beforeEach, describe, expect, test } from "vitest";
import { NODE_CONFIG } from "./names.ts";
import type { Client } from "./scene.fixture.ts";
import { bare, form, idsIn, options, outcome, publication, verona } from "./scene.fixture.ts";

let romeo: Client;
let juliet: Client;
let tybalt: Client;

beforeEach(async () => {
  ({ romeo, juliet, tybalt } = await verona());
});

const ROMEO = bare("romeo");
const JULIET = bare("juliet");
const long = "x".repeat(65);
const submit = (fields: Record<string, string>) => form(NODE_CONFIG, fields);
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
