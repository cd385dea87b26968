import { describe, expect, test } from "vitest";
import { DOMAIN } from "../testing/cluster.ts";
import { take } from "../testing/read.ts";
import { EVENT } from "./names.ts";
import { bare, form, idsIn, options, outcome, publication, Scene } from "./scene.fixture.ts";

const TUNE = "http://jabber.org/protocol/tune";

describe("on three nodes", () => {
  const newScene = () => new Scene({ nodes: 3 });

  test("contacts who want it and the user's own clients hear of an item, nobody else does", async () => {
    const scene = newScene();
    scene.user("tybalt");
    scene.friends("romeo", "juliet");
    scene.friends("romeo", "nurse");
    const romeo = await scene.client("romeo/desk", 0);
    const phone = await scene.client("romeo/phone", 1);
    const juliet = await scene.client("juliet", 1);
    const tablet = await scene.client("juliet/tablet", 2);
    const nurse = await scene.client("nurse", 2);
    const tybalt = await scene.client("tybalt", 2);
    for (const client of [romeo, phone, juliet, tybalt]) await client.wants(TUNE);
    await tablet.wants("other");
    await nurse.wants();
    expect(outcome(await romeo.publish(TUNE, "a"))).toBe("result");
    for (const client of [romeo, phone, juliet]) {
      const [message] = client.messages();
      expect(message?.attrs).toMatchObject({
        type: "headline",
        from: bare("romeo"),
        to: client.session.jid.full,
      });
      const item = message?.getChild("event", EVENT)?.getChild("items")?.getChild("item");
      expect(item?.attrs).toEqual({ id: "a" });
      expect(item?.getChild("thing", "urn:thing")?.getText()).toBe("a");
    }
    for (const client of [tablet, nurse, tybalt]) expect(client.messages()).toEqual([]);
  });

  test("one frame for each node carries an event, however many hear of it", async () => {
    const scene = newScene();
    const names = ["a", "b", "c", "d", "e", "f"];
    const romeo = await scene.client("romeo", 0);
    await romeo.wants(TUNE);
    for (const [index, name] of names.entries()) {
      scene.friends("romeo", name);
      const client = await scene.client(name, 1 + (index % 2));
      await client.wants(TUNE);
    }
    // Who sees whom is known to presence when it is told next.
    await romeo.publish(TUNE, "first");
    const before = romeo.node.mesh.frames;
    await romeo.publish(TUNE, "second");
    expect(romeo.node.mesh.frames - before).toBe(2);
  });

  test("who comes online is sent the last items of those it sees, with the time, one read for each", async () => {
    const scene = newScene();
    scene.friends("romeo", "juliet");
    scene.friends("romeo", "nurse");
    scene.user("tybalt");
    const juliet = await scene.client("juliet", 1);
    const tybalt = await scene.client("tybalt", 1);
    await juliet.publish(TUNE, "j1");
    await juliet.publish(TUNE, "j2");
    await juliet.publish("unwanted", "x");
    await tybalt.publish(TUNE, "t");
    const romeo = await scene.client("romeo", 0);
    await romeo.publish(TUNE, "r");
    const before = scene.cluster.stores.pubsub.reads;
    await romeo.wants(TUNE, "nothing");
    expect(scene.cluster.stores.pubsub.reads - before).toBe(3);
    const messages = romeo.messages();
    expect(messages.map(({ attrs }) => attrs.from)).toEqual([bare("romeo"), bare("juliet")]);
    expect(messages[1]?.getChild("delay", "urn:xmpp:delay")?.attrs).toMatchObject({
      from: bare("juliet"),
      stamp: expect.stringMatching(/^2026-01-01T00:00:00/),
    });
    const item = messages[1]?.getChild("event", EVENT)?.getChild("items")?.getChild("item");
    expect(item?.attrs.id).toBe("j2");
    // Once is enough.
    await romeo.send("<presence><show>away</show></presence>");
    expect(romeo.messages()).toEqual([]);
  });

  test("a client that wants more than before is sent what is new to it", async () => {
    const scene = newScene();
    scene.friends("romeo", "juliet");
    const juliet = await scene.client("juliet", 1);
    await juliet.publish(TUNE, "t");
    await juliet.publish("mood", "m");
    const romeo = await scene.client("romeo", 0);
    await romeo.wants(TUNE);
    expect(romeo.events()).toEqual([`juliet ${TUNE}: item t <thing>`]);
    await romeo.wants(TUNE, "mood");
    expect(romeo.events()).toEqual(["juliet mood: item m <thing>"]);
    await romeo.send("<presence type='unavailable'/>");
    await romeo.wants(TUNE, "mood");
    expect(romeo.events().toSorted()).toEqual([
      `juliet ${TUNE}: item t <thing>`,
      "juliet mood: item m <thing>",
    ]);
  });

  test("a new contact's last items come with the permission to see them", async () => {
    const scene = newScene();
    const juliet = await scene.client("juliet", 1);
    const romeo = await scene.client("romeo", 0);
    await romeo.ask("get", "<query xmlns='jabber:iq:roster'/>");
    await romeo.wants(TUNE);
    await juliet.send("<presence/>");
    await juliet.publish(TUNE, "t");
    expect(romeo.events()).toEqual([]);
    await romeo.send(`<presence type='subscribe' to='${bare("juliet")}'/>`);
    await juliet.send(`<presence type='subscribed' to='${bare("romeo")}'/>`);
    expect(romeo.events()).toEqual([`juliet ${TUNE}: item t <thing>`]);
    await juliet.publish(TUNE, "u");
    expect(romeo.events()).toEqual([`juliet ${TUNE}: item u <thing>`]);
    await juliet.send(`<presence type='unsubscribed' to='${bare("romeo")}'/>`);
    await juliet.publish(TUNE, "v");
    expect(romeo.events()).toEqual([]);
  });

  test("events of one publisher arrive in the order in which they were published", async () => {
    const scene = new Scene({ nodes: 3, isCalm: false, seed: 7 });
    scene.friends("romeo", "juliet");
    const romeo = await scene.client("romeo", 0);
    const juliet = await scene.client("juliet", 2);
    await juliet.wants(TUNE);
    const ids = Array.from({ length: 20 }, (_, index) => `i${index}`);
    const sent = ids.map((id) =>
      romeo.node.send(
        romeo.session,
        `<iq type='set' id='${id}'><pubsub xmlns='http://jabber.org/protocol/pubsub'>${publication(TUNE, id)}</pubsub></iq>`,
      ),
    );
    await scene.cluster.settle();
    await Promise.all(sent);
    expect(juliet.events()).toEqual(ids.map((id) => `romeo ${TUNE}: item ${id} <thing>`));
  });

  test("a dead node takes no events with it but its own clients'", async () => {
    const scene = newScene();
    scene.friends("romeo", "juliet");
    scene.friends("romeo", "nurse");
    const romeo = await scene.client("romeo", 0);
    const juliet = await scene.client("juliet", 1);
    const nurse = await scene.client("nurse", 2);
    for (const client of [romeo, juliet, nurse]) await client.wants(TUNE);
    scene.cluster.kill(juliet.node);
    scene.cluster.expire(juliet.node);
    expect(outcome(await romeo.publish(TUNE, "a"))).toBe("result");
    expect(nurse.events()).toEqual([`romeo ${TUNE}: item a <thing>`]);
  });
});

describe("what else is told", () => {
  const newScene = async () => {
    const scene = new Scene({ nodes: 2 });
    scene.friends("romeo", "juliet");
    const romeo = await scene.client("romeo", 0);
    const juliet = await scene.client("juliet", 1);
    await juliet.wants("n");
    return { scene, romeo, juliet };
  };

  test("retractions: when the publisher or the node's configuration says so", async () => {
    const { romeo, juliet } = await newScene();
    await romeo.publish("n", "a", options({ "pubsub#max_items": "5" }));
    await romeo.publish("n", "b");
    await romeo.publish("n", "c");
    juliet.events();
    await romeo.set("<retract node='n'><item id='a'/></retract>");
    expect(juliet.events()).toEqual([]);
    await romeo.set("<retract node='n' notify='true'><item id='b'/></retract>");
    expect(juliet.events()).toEqual(["romeo n: retract b"]);
    await romeo.configure("n", { "pubsub#notify_retract": "1" });
    await romeo.set("<retract node='n'><item id='c'/></retract>");
    expect(juliet.events()).toEqual(["romeo n: retract c"]);
    await romeo.publish("n", "d");
    await romeo.ownerSet("<purge node='n'/>");
    expect(juliet.events()).toEqual(["romeo n: item d <thing>", "romeo n: purge"]);
    expect(idsIn(await juliet.get("<items node='n'/>", bare("romeo")))).toEqual([]);
  });

  test("deletion and configuration: when the node's configuration says so", async () => {
    const { romeo, juliet } = await newScene();
    await romeo.publish("n", "a");
    juliet.events();
    await romeo.configure("n", { "pubsub#title": "N" });
    expect(juliet.events()).toEqual([]);
    await romeo.configure("n", { "pubsub#notify_config": "1", "pubsub#notify_delete": "1" });
    expect(juliet.events()).toEqual(["romeo n: configuration"]);
    await romeo.ownerSet("<delete node='n'><redirect uri='xmpp:other'/></delete>");
    const [message] = juliet.messages();
    const deleted = message?.getChild("event", EVENT)?.getChild("delete");
    expect(deleted?.getChild("redirect")?.attrs.uri).toBe("xmpp:other");
  });

  test("nothing, where notifications are off; no payload, where payloads are", async () => {
    const { romeo, juliet } = await newScene();
    await romeo.publish("n", "a");
    await romeo.configure("n", { "pubsub#deliver_payloads": "0" });
    juliet.events();
    await romeo.publish("n", "b");
    expect(juliet.events()).toEqual(["romeo n: item b"]);
    await romeo.configure("n", { "pubsub#deliver_notifications": "0" });
    await romeo.publish("n", "c");
    expect(juliet.events()).toEqual([]);
  });

  test("an event of a node without items says only that something happened", async () => {
    const { romeo, juliet } = await newScene();
    await romeo.set(
      `<create node='n'/><configure>${form("http://jabber.org/protocol/pubsub#node_config", {
        "pubsub#persist_items": "0",
        "pubsub#deliver_payloads": "0",
      })}</configure>`,
    );
    expect(outcome(await romeo.set("<publish node='n'/>"))).toBe("result");
    expect(juliet.events()).toEqual(["romeo n: nothing"]);
  });

  test("transient items are told of, and the last one is sent to who comes later", async () => {
    const { scene, romeo, juliet } = await newScene();
    await romeo.publish("n", "a", options({ "pubsub#persist_items": "0" }));
    expect(juliet.events()).toEqual(["romeo n: item a <thing>"]);
    const tablet = await scene.client("juliet/tablet", 0);
    await tablet.wants("n");
    expect(tablet.events()).toEqual(["romeo n: item a <thing>"]);
    expect(idsIn(await juliet.get("<items node='n'/>", bare("romeo")))).toEqual(["a"]);
  });

  test("the last item is not sent where the node says never, and after retraction it is the one before", async () => {
    const { scene, romeo } = await newScene();
    await romeo.publish("n", "a", options({ "pubsub#max_items": "3" }));
    await romeo.publish("n", "b");
    await romeo.set("<retract node='n'><item id='b'/></retract>");
    const tablet = await scene.client("juliet/tablet", 0);
    await tablet.wants("n");
    expect(tablet.events()).toEqual(["romeo n: item a <thing>"]);
    await romeo.configure("n", { "pubsub#send_last_published_item": "never" });
    const phone = await scene.client("juliet/phone", 0);
    await phone.wants("n");
    expect(phone.events()).toEqual([]);
  });
});

test("a user who is cut off hears nothing, in either direction", async () => {
  const scene = new Scene({ nodes: 2 });
  scene.friends("romeo", "juliet");
  const romeo = await scene.client("romeo", 0);
  const juliet = await scene.client("juliet", 1);
  await romeo.wants("n");
  await juliet.wants("n");
  const block = `<block xmlns='urn:xmpp:blocking'><item jid='${bare("juliet")}'/></block>`;
  expect((await romeo.ask("set", block)).attrs.type).toBe("result");
  await romeo.publish("n", "a");
  await juliet.publish("n", "b");
  expect(juliet.events()).toEqual(["juliet n: item b <thing>"]);
  expect(romeo.events()).toEqual(["romeo n: item a <thing>"]);
  // Nor later, by coming online, or by asking.
  const [phone, tablet] = [await scene.client("juliet/p", 0), await scene.client("romeo/t", 1)];
  await phone.wants("n");
  await tablet.wants("n");
  expect(phone.events()).toEqual(["juliet n: item b <thing>"]);
  expect(tablet.events()).toEqual(["romeo n: item a <thing>"]);
  const refused = "service-unavailable (cancel)";
  expect(outcome(await phone.get("<items node='n'/>", bare("romeo")))).toBe(refused);
});

test("an account describes itself as a service, and each node to who may read it", async () => {
  const scene = new Scene({ nodes: 1 });
  scene.friends("romeo", "juliet");
  const romeo = await scene.client("romeo");
  const juliet = await scene.client("juliet");
  await romeo.publish("n", "a", options({ "pubsub#title": "N" }));
  await romeo.publish("secret", "s", options({ "pubsub#access_model": "whitelist" }));
  const info = "http://jabber.org/protocol/disco#info";
  const items = "http://jabber.org/protocol/disco#items";
  const ask = async (ns: string, node?: string) => {
    const about = node === undefined ? "" : ` node='${node}'`;
    return await juliet.ask("get", `<query xmlns='${ns}'${about}/>`, bare("romeo"));
  };
  const account = (await ask(info)).getChild("query");
  expect(account?.getChildren("identity").map(({ attrs }) => attrs)).toContainEqual({
    category: "pubsub",
    type: "pep",
  });
  const features = account?.getChildren("feature").map(({ attrs }) => attrs.var);
  expect(features).toContain("http://jabber.org/protocol/pubsub#publish-options");
  const server = (await juliet.ask("get", `<query xmlns='${info}'/>`, DOMAIN)).getChild("query");
  const ofServer = server?.getChildren("feature").map(({ attrs }) => attrs.var);
  expect(ofServer).not.toContain("http://jabber.org/protocol/pubsub#publish");
  const nodes = (await ask(items))
    .getChild("query")
    ?.getChildren("item")
    .map(({ attrs }) => attrs);
  expect(nodes).toEqual([{ jid: bare("romeo"), node: "n", name: "N" }]);
  const node = (await ask(info, "n")).getChild("query");
  expect(node?.getChild("identity")?.attrs).toEqual({ category: "pubsub", type: "leaf" });
  expect(node?.getChild("x", "jabber:x:data")).toBeDefined();
  expect((await ask(items, "n")).getChild("query")?.getChild("item")?.attrs.name).toBe("a");
  for (const ns of [info, items]) {
    for (const name of ["secret", "unknown"]) {
      expect(outcome(await ask(ns, name))).toBe("item-not-found (cancel)");
    }
  }
});

test("an event that a client makes up is a message like any other", async () => {
  const scene = new Scene({ nodes: 2 });
  scene.friends("romeo", "juliet");
  const romeo = await scene.client("romeo", 0);
  const juliet = await scene.client("juliet", 1);
  await juliet.wants();
  const event = `<event xmlns='${EVENT}'><items node='n'/></event>`;
  await romeo.send(`<message to='${juliet.session.jid.full}'>${event}</message>`);
  const [message] = take(juliet.session, "message");
  expect(message?.attrs.from).toBe(romeo.session.jid.full);
});
