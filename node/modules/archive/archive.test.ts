import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TestSession } from "../testing/client.ts";
import type { TestNode } from "../testing/cluster.ts";
import { Cluster, DOMAIN, GUESTS } from "../testing/cluster.ts";
import { conditionOf, one, take } from "../testing/read.ts";

const ROMEO = `romeo@${DOMAIN}`;
const JULIET = `juliet@${DOMAIN}`;

async function twoOnline(nodes = 1, options: Record<string, unknown> = {}) {
  const cluster = new Cluster({ nodes, options: { archive: options } });
  for (const user of [ROMEO, JULIET]) cluster.stores.addUser(user);
  const first = cluster.node(0);
  const last = cluster.node(nodes - 1);
  const romeo = await first.login(`${ROMEO}/orchard`);
  const juliet = await last.login(`${JULIET}/balcony`);
  await first.send(romeo, "<presence/>");
  await last.send(juliet, "<presence/>");
  await cluster.settle();
  for (const session of [romeo, juliet]) take(session);
  const say = async (text: string, to = JULIET) => {
    await first.send(
      romeo,
      `<message to='${to}' type='chat' id='${text}'><body>${text}</body></message>`,
    );
    await cluster.settle();
  };
  return { cluster, first, last, romeo, juliet, say };
}

const field = (name: string, ...values: string[]) =>
  `<field var='${name}'>${values.map((value) => `<value>${value}</value>`).join("")}</field>`;
const form = (fields: string) =>
  `<x xmlns='jabber:x:data' type='submit'>${field("FORM_TYPE", "urn:xmpp:mam:2")}${fields}</x>`;
const rsm = (content: string) => `<set xmlns='http://jabber.org/protocol/rsm'>${content}</set>`;

interface Answer {
  /** Bodies, in the order in which they came. */
  readonly bodies: readonly string[];
  readonly ids: readonly string[];
  readonly first: string | undefined;
  readonly last: string | undefined;
  readonly isComplete: boolean;
  readonly isStable: boolean;
}

async function ask(node: TestNode, session: TestSession, content = ""): Promise<Answer | string> {
  take(session);
  const query = `<query xmlns='urn:xmpp:mam:2' queryid='q'>${content}</query>`;
  await node.send(session, `<iq type='set' id='1'>${query}</iq>`);
  const answer = one(session, "iq");
  if (answer.attrs.type === "error") return conditionOf(answer) ?? "";
  const results = take(session, "message").map((message) => {
    expect(message.attrs).toMatchObject({ from: session.jid.bare, to: session.jid.full });
    const result = message.getChild("result");
    expect(result?.attrs.queryid).toBe("q");
    const forwarded = result?.getChild("forwarded");
    expect(forwarded?.getChild("delay")?.attrs.stamp).toMatch(/^\d{4}-.*Z$/);
    return {
      id: String(result?.attrs.id),
      body: forwarded?.getChild("message")?.getChildText("body"),
    };
  });
  const fin = answer.getChild("fin");
  const set = fin?.getChild("set");
  return {
    bodies: results.map(({ body }) => body ?? ""),
    ids: results.map(({ id }) => id),
    first: set?.getChildText("first") ?? undefined,
    last: set?.getChildText("last") ?? undefined,
    isComplete: fin?.attrs.complete === "true",
    isStable: fin?.attrs.stable !== "false",
  };
}

async function page(node: TestNode, session: TestSession, content = ""): Promise<Answer> {
  const answer = await ask(node, session, content);
  if (typeof answer === "string") throw new Error(answer);
  return answer;
}

describe.each([1, 2])("on %i node(s)", (nodes) => {
  test("both sides archive a message once, and know it by a name of their own", async () => {
    const { cluster, first, last, romeo, juliet, say } = await twoOnline(nodes);
    await say("one");
    const message = one(juliet, "message");
    const ids = message.getChildren("stanza-id").map(({ attrs }) => [attrs.by, attrs.id]);
    const received = await page(last, juliet);
    expect(received.bodies).toEqual(["one"]);
    expect(ids).toEqual([[JULIET, received.ids[0]]]);
    const sent = await page(first, romeo);
    expect(sent.bodies).toEqual(["one"]);
    expect(sent).toMatchObject({ isComplete: true, isStable: true });
    expect([cluster.stores.archived(ROMEO), cluster.stores.archived(JULIET)]).toMatchObject([
      [{ peer: JULIET, resource: "" }],
      [{ peer: ROMEO, resource: "orchard" }],
    ]);
  });

  test("a copy tells the name in its own archive", async () => {
    const { cluster, first, romeo, say } = await twoOnline(nodes);
    const garden = await cluster.node(nodes - 1).login(`${ROMEO}/garden`);
    const enable = "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>";
    await cluster.node(nodes - 1).send(garden, enable);
    take(garden);
    await say("one");
    const copy = one(garden, "message")
      .getChild("sent")
      ?.getChild("forwarded")
      ?.getChild("message");
    const ids = copy?.getChildren("stanza-id").map(({ attrs }) => [attrs.by, attrs.id]);
    expect(ids).toEqual([[ROMEO, (await page(first, romeo)).ids[0]]]);
    expect(cluster.stores.archived(ROMEO)).toHaveLength(1);
  });

  test("what came while a user was away, read from the archive, is not handed over besides", async () => {
    const { cluster, last, juliet, say } = await twoOnline(nodes);
    await last.drop(juliet);
    await say("one");
    await say("two");
    expect(cluster.stores.storedFor(JULIET)).toHaveLength(2);
    const again = await last.login(`${JULIET}/balcony`);
    expect((await page(last, again, rsm("<max>1</max>"))).bodies).toEqual(["one"]);
    await last.send(again, "<presence/>");
    await cluster.settle();
    again.acknowledge();
    await cluster.settle();
    // Only what it has not read comes; what it has read is kept no longer.
    expect(take(again, "message").map((message) => message.getChildText("body"))).toEqual(["two"]);
    again.acknowledge();
    await cluster.settle();
    expect(cluster.stores.storedFor(JULIET)).toEqual([]);
  });
});

test("an answer waits for what its reader has seen and another node is still archiving", async () => {
  const { cluster, last, juliet, say } = await twoOnline(2);
  await say("one");
  const [archived] = cluster.stores.archived(JULIET);
  expect(await page(last, juliet)).toMatchObject({ bodies: ["one"], isStable: true });
  await say("two");
  const two = cluster.stores.archived(JULIET).at(-1);
  const kept = cluster.stores.archives.get(JULIET);
  if (archived === undefined || two === undefined || kept === undefined) {
    throw new Error("not archived");
  }
  kept.delete(two.id);
  const asked = page(last, juliet, rsm(`<after>${archived.id}</after>`));
  await cluster.settle();
  kept.set(two.id, two);
  cluster.clock.advance(50);
  expect(await asked).toMatchObject({ bodies: ["two"], isStable: true });
});

test("it does not wait for ever: what is read without it may change", async () => {
  const { cluster, last, juliet, say } = await twoOnline(2);
  await say("one");
  cluster.stores.archives.clear();
  const asked = page(last, juliet);
  await cluster.settle();
  cluster.clock.advance(2_000);
  expect(await asked).toMatchObject({ bodies: [], isStable: false });
  expect(await page(last, juliet)).toMatchObject({ isStable: true });
});

test("a message to oneself is archived once, and found by one's own address", async () => {
  const { first, romeo, say } = await twoOnline();
  await say("to me", ROMEO);
  await say("to her");
  const mine = await page(first, romeo, form(field("with", `${ROMEO}/anything`)));
  expect(mine.bodies).toEqual(["to me"]);
  expect((await page(first, romeo)).bodies).toEqual(["to me", "to her"]);
});

test("what is refused is in the sender's archive alone", async () => {
  const { cluster, first, romeo, juliet, say } = await twoOnline();
  await first.send(romeo, `<message to='${JULIET}/gone' id='n'><body>n</body></message>`);
  expect(conditionOf(one(romeo, "message"))).toBe("service-unavailable");
  await say("nobody", `nobody@${DOMAIN}`);
  expect(cluster.stores.archived(JULIET)).toEqual([]);
  expect((await page(first, romeo)).bodies).toEqual(["n", "nobody"]);
  expect(take(juliet)).toEqual([]);
});

test("names in somebody's own name are taken off, whoever sends them", async () => {
  const { first, romeo, juliet } = await twoOnline();
  const spoof = (by: string) => `<stanza-id xmlns='urn:xmpp:sid:0' by='${by}' id='spoofed'/>`;
  const payload = `${spoof(ROMEO)}${spoof(JULIET)}<origin-id xmlns='urn:xmpp:sid:0' id='o'/>`;
  await first.send(romeo, `<message to='${JULIET}' type='chat'>${payload}</message>`);
  const message = one(juliet, "message");
  expect(message.getChildElements().map(({ name }) => name)).toEqual(["origin-id"]);
});

describe("pages", () => {
  async function tenMessages() {
    const opened = await twoOnline();
    for (let index = 0; index < 10; index += 1) {
      await opened.say(String(index), index % 3 === 0 ? `nurse@${DOMAIN}` : JULIET);
      opened.cluster.clock.advance(1_000);
    }
    const { first, romeo } = opened;
    const all = await page(first, romeo);
    return { ...opened, all, read: (content: string) => page(first, romeo, content) };
  }

  test("forwards, backwards, flipped, empty and past the end", async () => {
    const { all, read } = await tenMessages();
    expect(all.bodies.join("")).toBe("0123456789");
    const start = await read(rsm("<max>4</max>"));
    expect(start).toMatchObject({ bodies: ["0", "1", "2", "3"], isComplete: false });
    expect(start.first).toBe(all.ids[0]);
    const next = await read(rsm(`<max>6</max><after>${start.last}</after>`));
    expect(next).toMatchObject({ bodies: ["4", "5", "6", "7", "8", "9"], isComplete: true });
    const end = await read(rsm("<max>3</max><before/>"));
    expect(end).toMatchObject({ bodies: ["7", "8", "9"], isComplete: false });
    const before = await read(rsm(`<max>7</max><before>${end.first}</before>`));
    expect(before).toMatchObject({ bodies: ["0", "1", "2", "3", "4", "5", "6"], isComplete: true });
    const flipped = await read(`${rsm("<max>3</max><before/>")}<flip-page/>`);
    expect(flipped).toMatchObject({ bodies: ["9", "8", "7"], first: end.first, last: end.last });
    const past = await read(rsm(`<after>${all.last}</after>`));
    expect(past).toMatchObject({ bodies: [], first: undefined, last: undefined, isComplete: true });
    const none = await read(rsm("<max>0</max>"));
    expect(none).toMatchObject({ bodies: [], isComplete: false });
  });

  test("by contact, by time, between ids, and by id", async () => {
    const { all, read, cluster } = await tenMessages();
    const nurse = await read(form(field("with", `nurse@${DOMAIN}`)));
    expect(nurse.bodies.join("")).toBe("0369");
    expect((await read(form(field("with", `${JULIET}/balcony`)))).bodies).toEqual([]);
    const id = (index: number) => all.ids[index] as string;
    const between = form(field("after-id", id(2)) + field("before-id", id(6)));
    expect((await read(between)).bodies.join("")).toBe("345");
    const first2 = await read(between + rsm("<max>2</max>"));
    expect(first2).toMatchObject({ bodies: ["3", "4"], isComplete: false });
    expect((await read(form(field("ids", id(7), id(1))))).bodies.join("")).toBe("17");
    const startMs = cluster.clock.nowMs() - 10_000;
    const stamp = (index: number) => new Date(startMs + index * 1_000).toISOString();
    const timely = form(field("start", stamp(3)) + field("end", stamp(5)));
    expect((await read(timely)).bodies.join("")).toBe("345");
  });

  test("an id that is not there is not found, whatever it is for", async () => {
    const { first, romeo } = await tenMessages();
    for (const content of [
      rsm("<after>unknown</after>"),
      rsm("<before>unknown</before>"),
      form(field("after-id", "unknown")),
      form(field("before-id", "unknown")),
      form(field("ids", "unknown")),
    ]) {
      expect(await ask(first, romeo, content)).toBe("item-not-found");
      expect(take(romeo)).toEqual([]);
    }
  });

  test("the server bounds a page, and the ids one may ask for", async () => {
    const { first, romeo, say } = await twoOnline(1, { resultsMax: 2 });
    for (const text of ["a", "b", "c"]) await say(text);
    const start = await page(first, romeo, rsm("<max>100</max>"));
    expect(start).toMatchObject({ bodies: ["a", "b"], isComplete: false });
    const three = form(field("ids", "x", "y", "z"));
    expect(await ask(first, romeo, three)).toBe("not-acceptable");
  });

  test("however an archive is paged through, everything comes once and in order", async () => {
    const { all, read } = await tenMessages();
    const filters = fc.constantFrom("", field("with", JULIET), field("with", `nurse@${DOMAIN}`));
    await fc.assert(
      fc.asyncProperty(
        filters,
        fc.integer({ min: 1, max: 11 }),
        fc.boolean(),
        async (filter, max, isUp) => {
          const expected = await read(form(filter));
          const found: string[] = [];
          let anchor = isUp ? "" : "<before/>";
          for (;;) {
            const got = await read(form(filter) + rsm(`<max>${max}</max>${anchor}`));
            if (isUp) found.push(...got.ids);
            else found.unshift(...got.ids);
            if (got.isComplete) break;
            anchor = isUp ? `<after>${got.last}</after>` : `<before>${got.first}</before>`;
          }
          expect(found).toEqual(expected.ids);
          expect(all.ids).toEqual(expect.arrayContaining(found));
        },
      ),
      { numRuns: 40 },
    );
  });
});

test("messages older than they are kept are gone", async () => {
  const { cluster, first, romeo, say } = await twoOnline(1, { keptDays: 1 });
  await say("old");
  const { ids } = await page(first, romeo);
  cluster.clock.advance(90_000_000);
  await say("new");
  expect((await page(first, romeo)).bodies).toEqual(["new"]);
  expect(await ask(first, romeo, rsm(`<after>${ids[0]}</after>`))).toBe("item-not-found");
});

test("an archive tells its ends, and an empty one that it is empty", async () => {
  const { first, romeo, say } = await twoOnline();
  const metadata = async () => {
    await first.send(romeo, "<iq type='get' id='m'><metadata xmlns='urn:xmpp:mam:2'/></iq>");
    return one(romeo, "iq").getChild("metadata");
  };
  expect((await metadata())?.getChildElements()).toEqual([]);
  await say("one");
  await say("two");
  const { ids } = await page(first, romeo);
  const told = (await metadata())?.getChildElements() ?? [];
  expect(told.map(({ name, attrs }) => [name, attrs.id])).toEqual([
    ["start", ids[0]],
    ["end", ids[1]],
  ]);
});

test("an archive is its owner's alone", async () => {
  const { first, romeo } = await twoOnline();
  for (const [type, payload] of [
    ["set", "<query xmlns='urn:xmpp:mam:2'/>"],
    ["get", "<query xmlns='urn:xmpp:mam:2'/>"],
    ["get", "<metadata xmlns='urn:xmpp:mam:2'/>"],
    ["get", "<prefs xmlns='urn:xmpp:mam:2'/>"],
    ["set", "<prefs xmlns='urn:xmpp:mam:2' default='never'/>"],
  ]) {
    await first.send(romeo, `<iq type='${type}' id='x' to='${JULIET}'>${payload}</iq>`);
    expect(conditionOf(one(romeo, "iq"))).toBe("forbidden");
  }
});

describe("preferences", () => {
  async function prefs(node: TestNode, session: TestSession, xml?: string) {
    const payload = xml ?? "<prefs xmlns='urn:xmpp:mam:2'/>";
    await node.send(
      session,
      `<iq type='${xml === undefined ? "get" : "set"}' id='p'>${payload}</iq>`,
    );
    const answer = one(session, "iq");
    return answer.attrs.type === "error" ? conditionOf(answer) : String(answer.getChild("prefs"));
  }
  const wanted = (policy: string, always = "", never = "") =>
    `<prefs xmlns='urn:xmpp:mam:2' default='${policy}'><always>${always}</always><never>${never}</never></prefs>`;

  test("say whose messages are archived, from then on", async () => {
    const { cluster, first, romeo, say } = await twoOnline();
    expect(await prefs(first, romeo)).toContain('default="always"');
    const never = wanted("always", "", `<jid>${JULIET}</jid>`);
    expect(await prefs(first, romeo, never)).toContain(`<never><jid>${JULIET}</jid></never>`);
    await say("unwanted");
    await say("wanted", `nurse@${DOMAIN}`);
    expect((await page(first, romeo)).bodies).toEqual(["wanted"]);
    expect(cluster.stores.archived(JULIET)).toHaveLength(1);
    await prefs(first, romeo, wanted("never", `<jid>${JULIET}/balcony</jid>`));
    await say("bare");
    await say("full", `${JULIET}/balcony`);
    expect((await page(first, romeo)).bodies).toEqual(["wanted", "full"]);
  });

  test("can be to archive contacts only", async () => {
    const { cluster, first, romeo, say } = await twoOnline(1, { default: "roster" });
    await say("stranger");
    cluster.stores.befriend(ROMEO, JULIET);
    await say("friend");
    expect((await page(first, romeo)).bodies).toEqual(["friend"]);
  });

  test("a change made on another node is heeded before long", async () => {
    const { cluster, first, last, romeo, say } = await twoOnline(2);
    await say("before");
    const elsewhere = await last.login(`${ROMEO}/elsewhere`);
    await prefs(last, elsewhere, wanted("never"));
    cluster.clock.advance(16_000);
    await say("after");
    expect((await page(first, romeo)).bodies).toEqual(["before"]);
  });

  test.each([
    ["no default", "<prefs xmlns='urn:xmpp:mam:2'/>", "bad-request"],
    ["an unknown default", wanted("sometimes"), "bad-request"],
    ["an address that is none", wanted("always", "<jid>@@</jid>"), "jid-malformed"],
    [
      "more addresses than there is room for",
      wanted("always", Array.from({ length: 1_001 }, (_, at) => `<jid>a${at}@b</jid>`).join("")),
      "not-acceptable",
    ],
  ])("%s is refused", async (_, xml, condition) => {
    const { first, romeo } = await twoOnline();
    expect(await prefs(first, romeo, xml)).toBe(condition);
  });
});

describe("an archive that does not answer", () => {
  test("holds up no message, and gets everything when it is back", async () => {
    const { cluster, first, romeo, juliet, say } = await twoOnline();
    cluster.stores.archiveFails = true;
    for (const text of ["a", "b", "c"]) await say(text);
    expect(take(juliet, "message")).toHaveLength(3);
    expect(await page(first, romeo)).toMatchObject({ bodies: [], isStable: false });
    cluster.stores.archiveFails = false;
    cluster.clock.advance(1_000);
    await cluster.settle();
    expect(await page(first, romeo)).toMatchObject({ bodies: ["a", "b", "c"], isStable: true });
    expect(cluster.stores.archived(JULIET)).toHaveLength(3);
  });

  test("loses what there is no room for, and only that", async () => {
    const { cluster, first, romeo, juliet, say } = await twoOnline(1, { lateBytesMax: 300 });
    cluster.stores.archiveFails = true;
    for (const text of ["a", "b", "c"]) await say(text);
    expect(take(juliet, "message")).toHaveLength(3);
    cluster.stores.archiveFails = false;
    cluster.clock.advance(1_000);
    await cluster.settle();
    await say("d");
    expect((await page(first, romeo)).bodies).toEqual(["a", "d"]);
  });
});

test("an archive that is not wanted is not there", async () => {
  const { cluster, first, romeo, say } = await twoOnline(1, { enabled: false });
  await say("one");
  expect(cluster.stores.archived(ROMEO)).toEqual([]);
  expect(await ask(first, romeo)).toBe("service-unavailable");
});

test("a client whose resource is bound along with its login is told the ends of its archive", async () => {
  const { first, juliet, say, cluster } = await twoOnline();
  const told = async () => {
    const notes = await Promise.all(first.boundNotes.map(({ describe }) => describe(juliet)));
    return notes.find((note) => note?.attrs.xmlns === "urn:xmpp:mam:2");
  };
  expect((await told())?.children).toEqual([]);
  await say("one");
  cluster.clock.advance(60_000);
  await say("two");
  const { ids } = (await ask(first, juliet)) as Answer;
  const metadata = await told();
  expect(metadata?.getChild("start")?.attrs.id).toBe(ids[0]);
  expect(metadata?.getChild("end")?.attrs).toMatchObject({
    id: ids[1],
    timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
  });
  const guest = await first.login(`a1b2@${GUESTS}/x`);
  const notes = await Promise.all(first.boundNotes.map(({ describe }) => describe(guest)));
  expect(notes.filter((note) => note !== undefined)).toEqual([]);
});

test("a node that is behind refuses history for now, and goes on delivering and archiving", async () => {
  const { first, romeo, juliet, say } = await twoOnline();
  first.isBehind = true;
  await say("hello");
  expect(juliet.received).toHaveLength(1);
  expect(await ask(first, romeo)).toBe("resource-constraint");
  expect(await ask(first, romeo, rsm("<max>0</max>"))).toBe("resource-constraint");
  first.isBehind = false;
  expect(await ask(first, romeo)).toMatchObject({ bodies: ["hello"], isComplete: true });
});
