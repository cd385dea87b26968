import { describe, expect, test } from "vitest";
import { bare, form, idsIn, options, outcome, Scene } from "./scene.fixture.ts";

describe("access models", () => {
  const setUp = async (fields: Record<string, string>) => {
    const scene = new Scene({ nodes: 3 });
    scene.friends("romeo", "juliet");
    scene.friends("romeo", "nurse");
    const romeo = await scene.client("romeo", 0);
    const juliet = await scene.client("juliet", 1);
    const nurse = await scene.client("nurse", 2);
    const tybalt = await scene.client("tybalt", 2);
    const item = `<item jid='${bare("juliet")}'><group>Friends</group></item>`;
    await romeo.ask("set", `<query xmlns='jabber:iq:roster'>${item}</query>`);
    for (const client of [juliet, nurse, tybalt]) await client.wants("n");
    await romeo.publish("n", "a", options(fields));
    const heard = [juliet, nurse, tybalt].map((client) => client.events().length);
    const late = [];
    for (const { session } of [juliet, nurse, tybalt]) {
      const client = await scene.client(`${session.jid.local}/late`, 0);
      await client.wants("n");
      late.push(client.events().length);
    }
    const read = [];
    for (const client of [juliet, nurse, tybalt]) {
      read.push(outcome(await client.get("<items node='n'/>", bare("romeo"))));
    }
    return { scene, romeo, juliet, nurse, tybalt, heard, late, read };
  };

  test("presence: contacts", async () => {
    const { heard, late, read } = await setUp({ "pubsub#access_model": "presence" });
    expect(heard).toEqual([1, 1, 0]);
    expect(late).toEqual(heard);
    expect(read).toEqual([
      "result",
      "result",
      "not-authorized presence-subscription-required (auth)",
    ]);
  });

  test("open: everybody may read, contacts hear", async () => {
    const { heard, late, read } = await setUp({ "pubsub#access_model": "open" });
    expect(heard).toEqual([1, 1, 0]);
    expect(late).toEqual(heard);
    expect(read).toEqual(["result", "result", "result"]);
  });

  test("roster: the groups that are named", async () => {
    const { heard, late, read } = await setUp({
      "pubsub#access_model": "roster",
      "pubsub#roster_groups_allowed": "Enemies|Friends",
    });
    expect(heard).toEqual([1, 0, 0]);
    expect(late).toEqual(heard);
    const refusal = "not-authorized not-in-roster-group (auth)";
    expect(read).toEqual(["result", refusal, refusal]);
  });

  test("whitelist: nobody but members", async () => {
    const { romeo, juliet, nurse, heard, late, read } = await setUp({
      "pubsub#access_model": "whitelist",
    });
    expect(heard).toEqual([0, 0, 0]);
    expect(late).toEqual(heard);
    expect(read).toEqual(Array(3).fill("not-allowed closed-node (cancel)"));
    const member = `<affiliation jid='${bare("juliet")}' affiliation='member'/>`;
    await romeo.ownerSet(`<affiliations node='n'>${member}</affiliations>`);
    await romeo.publish("n", "b");
    expect(juliet.events()).toEqual(["romeo n: item b <thing>"]);
    expect(nurse.events()).toEqual([]);
    expect(idsIn(await juliet.get("<items node='n'/>", bare("romeo")))).toEqual(["b"]);
  });

  test("authorize: who was approved", async () => {
    const { romeo, juliet, tybalt, heard, late, read } = await setUp({
      "pubsub#access_model": "authorize",
    });
    expect(heard).toEqual([0, 0, 0]);
    expect(late).toEqual(heard);
    expect(read).toEqual(Array(3).fill("not-authorized not-subscribed (auth)"));
    const asked = await tybalt.subscribe("n", bare("romeo"));
    const subscription = asked.getChild("pubsub")?.getChild("subscription");
    expect(subscription?.attrs).toMatchObject({ subscription: "pending", jid: bare("tybalt") });
    expect(outcome(await tybalt.subscribe("n", bare("romeo")))).toBe(
      "not-authorized pending-subscription (auth)",
    );
    await romeo.publish("n", "b");
    expect(tybalt.events()).toEqual([]);
    const approval = `<subscription jid='${bare("tybalt")}' subscription='subscribed'/>`;
    await romeo.ownerSet(`<subscriptions node='n'>${approval}</subscriptions>`);
    expect(tybalt.events()).toEqual(["romeo n: subscription"]);
    await romeo.publish("n", "c");
    expect(tybalt.events()).toEqual(["romeo n: item c <thing>"]);
    expect(juliet.events()).toEqual([]);
    expect(outcome(await tybalt.get("<items node='n'/>", bare("romeo")))).toBe("result");
  });

  test("an outcast hears nothing and reads nothing, whatever the model", async () => {
    const { romeo, juliet } = await setUp({ "pubsub#access_model": "open" });
    await juliet.subscribe("n", bare("romeo"));
    juliet.events();
    const outcast = `<affiliation jid='${bare("juliet")}' affiliation='outcast'/>`;
    await romeo.ownerSet(`<affiliations node='n'>${outcast}</affiliations>`);
    await romeo.publish("n", "b");
    expect(juliet.events()).toEqual([]);
    expect(outcome(await juliet.get("<items node='n'/>", bare("romeo")))).toBe("forbidden (auth)");
    expect(outcome(await juliet.subscribe("n", bare("romeo")))).toBe("forbidden (auth)");
  });
});

describe("the owner's word", () => {
  const setUp = async () => {
    const scene = new Scene({ nodes: 2 });
    const romeo = await scene.client("romeo", 0);
    const tybalt = await scene.client("tybalt", 1);
    await romeo.wants();
    await tybalt.wants();
    await romeo.publish("n", "a", options({ "pubsub#access_model": "authorize" }));
    await tybalt.subscribe("n", bare("romeo"));
    const [question] = romeo.messages();
    const fields = question?.getChild("x")?.getChildren("field") ?? [];
    const asked = Object.fromEntries(
      fields.map((field) => [String(field.attrs.var), field.getChildText("value") ?? ""]),
    );
    const say = async (allow: string, type = "submit") => {
      const { FORM_TYPE = "", ...rest } = { ...asked, "pubsub#allow": allow };
      const said = form(FORM_TYPE, rest).replace("type='submit'", `type='${type}'`);
      await romeo.send(`<message to='${bare("romeo")}'>${said}</message>`);
    };
    return { romeo, tybalt, question, asked, say };
  };

  test("is asked for who wants to subscribe, by a form", async () => {
    const { question, asked } = await setUp();
    expect(question?.attrs).toMatchObject({ from: bare("romeo"), to: bare("romeo") });
    expect(asked).toMatchObject({
      FORM_TYPE: "http://jabber.org/protocol/pubsub#subscribe_authorization",
      "pubsub#node": "n",
      "pubsub#subscriber_jid": bare("tybalt"),
      "pubsub#allow": "false",
    });
  });

  test("lets them in, and is not delivered to anybody as a message", async () => {
    const { romeo, tybalt, say } = await setUp();
    await say("true");
    expect(tybalt.events()).toEqual(["romeo n: subscription"]);
    expect(romeo.messages()).toEqual([]);
    await romeo.publish("n", "b");
    expect(tybalt.events()).toEqual(["romeo n: item b <thing>"]);
  });

  test("keeps them out, after which they may ask again", async () => {
    const { tybalt, say } = await setUp();
    await say("0");
    expect(tybalt.events()).toEqual(["romeo n: subscription"]);
    const again = await tybalt.subscribe("n", bare("romeo"));
    expect(again.getChild("pubsub")?.getChild("subscription")?.attrs.subscription).toBe("pending");
  });

  test("is nobody else's, and none when the form is cancelled", async () => {
    const { tybalt, asked, say } = await setUp();
    await say("true", "cancel");
    const { FORM_TYPE = "", ...rest } = { ...asked, "pubsub#allow": "true" };
    await tybalt.send(`<message to='${bare("romeo")}'>${form(FORM_TYPE, rest)}</message>`);
    expect(tybalt.events()).toEqual([]);
    expect(outcome(await tybalt.get("<items node='n'/>", bare("romeo")))).toBe(
      "not-authorized not-subscribed (auth)",
    );
  });
});

describe("explicit subscriptions", () => {
  const setUp = async () => {
    const scene = new Scene({ nodes: 2 });
    const romeo = await scene.client("romeo", 0);
    const tybalt = await scene.client("tybalt", 1);
    await tybalt.wants();
    await romeo.publish("n", "a", options({ "pubsub#access_model": "open" }));
    return { scene, romeo, tybalt };
  };

  test("a stranger who subscribes hears of everything once, with the subscription's id", async () => {
    const { romeo, tybalt } = await setUp();
    const answer = await tybalt.subscribe("n", bare("romeo"));
    const { subid } = answer.getChild("pubsub")?.getChild("subscription")?.attrs ?? {};
    const [last] = tybalt.messages();
    expect(last?.attrs.to).toBe(bare("tybalt"));
    expect(last?.getChild("headers")?.getChildText("header")).toBe(subid);
    await romeo.publish("n", "b");
    expect(tybalt.events()).toEqual(["romeo n: item b <thing>"]);
    const again = await tybalt.subscribe("n", bare("romeo"));
    expect(again.getChild("pubsub")?.getChild("subscription")?.attrs.subid).toBe(subid);
    expect(
      outcome(await tybalt.set(`<unsubscribe node='n' jid='${bare("tybalt")}'/>`, bare("romeo"))),
    ).toBe("result");
    await romeo.publish("n", "c");
    expect(tybalt.events()).toEqual([]);
  });

  test("a contact who subscribes as well hears once", async () => {
    const { scene, romeo } = await setUp();
    scene.friends("romeo", "juliet");
    const juliet = await scene.client("juliet", 1);
    await juliet.wants("n");
    await juliet.subscribe("n", bare("romeo"));
    juliet.events();
    await romeo.publish("n", "b");
    expect(juliet.events()).toEqual(["romeo n: item b <thing>"]);
  });

  test("a subscription of one resource is for that resource", async () => {
    const { scene, romeo, tybalt } = await setUp();
    const phone = await scene.client("tybalt/phone", 0);
    await phone.wants();
    await phone.set(`<subscribe node='n' jid='${bare("tybalt")}/phone'/>`, bare("romeo"));
    phone.events();
    await romeo.publish("n", "b");
    expect(phone.events()).toEqual(["romeo n: item b <thing>"]);
    expect(tybalt.events()).toEqual([]);
  });

  test("everybody sees their own subscriptions and affiliations, and the owner all", async () => {
    const { romeo, tybalt } = await setUp();
    await tybalt.subscribe("n", bare("romeo"));
    const own = (await tybalt.get("<subscriptions/>", bare("romeo"))).getChild("pubsub");
    expect(own?.getChild("subscriptions")?.getChildren("subscription")).toHaveLength(1);
    const none = (await romeo.get("<subscriptions node='n'/>")).getChild("pubsub");
    expect(none?.getChild("subscriptions")?.children).toEqual([]);
    const all = (await romeo.ownerGet("<subscriptions node='n'/>")).getChild("pubsub");
    expect(all?.getChild("subscriptions")?.getChild("subscription")?.attrs).toMatchObject({
      jid: bare("tybalt"),
      subscription: "subscribed",
    });
    const mine = (await romeo.get("<affiliations/>")).getChild("pubsub")?.getChild("affiliations");
    expect(mine?.getChild("affiliation")?.attrs).toEqual({ node: "n", affiliation: "owner" });
    const owners = (await romeo.ownerGet("<affiliations node='n'/>")).getChild("pubsub");
    expect(owners?.getChild("affiliations")?.getChild("affiliation")?.attrs).toEqual({
      jid: bare("romeo"),
      affiliation: "owner",
    });
    const gone = `<subscription jid='${bare("tybalt")}' subscription='none'/>`;
    await romeo.ownerSet(`<subscriptions node='n'>${gone}</subscriptions>`);
    await romeo.publish("n", "b");
    expect(tybalt.events().filter((event) => event.includes("item b"))).toEqual([]);
  });
});
