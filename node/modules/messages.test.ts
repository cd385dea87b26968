import { describe, expect, test } from "vitest";
import { Cluster, DOMAIN } from "./testing/cluster.ts";
import { conditionOf, one, take } from "./testing/read.ts";

const ROMEO = `romeo@${DOMAIN}`;
const JULIET = `juliet@${DOMAIN}`;

function newCluster(nodes: number, options = {}) {
  const cluster = new Cluster({ nodes, options });
  cluster.stores.addUser(ROMEO);
  cluster.stores.addUser(JULIET);
  cluster.stores.befriend(ROMEO, JULIET);
  return cluster;
}

/** Romeo on the first node, Juliet on the last, both available. */
async function twoOnline(nodes: number, options = {}) {
  const cluster = newCluster(nodes, options);
  const first = cluster.node(0);
  const last = cluster.node(nodes - 1);
  const romeo = await first.login(`${ROMEO}/orchard`);
  const juliet = await last.login(`${JULIET}/balcony`);
  await first.send(romeo, "<presence/>");
  await last.send(juliet, "<presence/>");
  await cluster.settle();
  take(romeo);
  take(juliet);
  return { cluster, first, last, romeo, juliet };
}

describe.each([1, 2])("on %i node(s)", (nodes) => {
  test("a chat message reaches the bare address with the sender's full address", async () => {
    const { first, romeo, juliet } = await twoOnline(nodes);
    await first.send(romeo, `<message to='${JULIET}' type='chat' id='1'><body>hi</body></message>`);
    const message = one(juliet, "message");
    expect(message.attrs).toMatchObject({ from: `${ROMEO}/orchard`, to: JULIET, id: "1" });
    expect(message.getChildText("body")).toBe("hi");
    expect(romeo.received).toEqual([]);
  });

  test("a message goes to all resources of non-negative priority and to no other", async () => {
    const { cluster, first, last, romeo, juliet } = await twoOnline(nodes);
    const phone = await first.login(`${JULIET}/phone`);
    const bot = await last.login(`${JULIET}/bot`);
    const silent = await last.login(`${JULIET}/silent`);
    await first.send(phone, "<presence><priority>5</priority></presence>");
    await last.send(bot, "<presence><priority>-1</priority></presence>");
    await cluster.settle();
    await first.send(romeo, `<message to='${JULIET}' id='2'><body>hi</body></message>`);
    expect(take(juliet, "message")).toHaveLength(1);
    expect(take(phone, "message")).toHaveLength(1);
    expect(take(bot, "message")).toHaveLength(0);
    expect(take(silent, "message")).toHaveLength(0);
  });

  test("a message to a full address reaches just that resource, even a negative one", async () => {
    const { cluster, first, last, romeo, juliet } = await twoOnline(nodes);
    const bot = await last.login(`${JULIET}/bot`);
    await last.send(bot, "<presence><priority>-1</priority></presence>");
    await cluster.settle();
    await first.send(romeo, `<message to='${JULIET}/bot' id='3'><body>hi</body></message>`);
    expect(one(bot, "message").attrs.id).toBe("3");
    expect(take(juliet, "message")).toHaveLength(0);
  });

  test("a normal message to a resource that is gone comes back, a chat message goes on", async () => {
    const { first, romeo, juliet } = await twoOnline(nodes);
    await first.send(romeo, `<message to='${JULIET}/gone' id='4'><body>a</body></message>`);
    expect(conditionOf(one(romeo, "message"))).toBe("service-unavailable");
    await first.send(
      romeo,
      `<message to='${JULIET}/gone' type='chat' id='5'><body>b</body></message>`,
    );
    expect(one(juliet, "message").attrs.id).toBe("5");
  });

  test("a message to nobody's account comes back, a headline does not", async () => {
    const { first, romeo } = await twoOnline(nodes);
    await first.send(romeo, `<message to='nobody@${DOMAIN}' id='6'><body>a</body></message>`);
    expect(conditionOf(one(romeo, "message"))).toBe("service-unavailable");
    await first.send(
      romeo,
      `<message to='nobody@${DOMAIN}' type='headline' id='7'><body>a</body></message>`,
    );
    expect(romeo.received).toEqual([]);
  });

  test("an error is never answered with an error", async () => {
    const { first, romeo } = await twoOnline(nodes);
    await first.send(romeo, `<message to='nobody@${DOMAIN}' type='error' id='8'/>`);
    await first.send(romeo, `<iq to='nobody@${DOMAIN}' type='result' id='9'/>`);
    await first.send(romeo, `<presence to='nobody@${DOMAIN}'/>`);
    expect(romeo.received).toEqual([]);
  });

  test("an iq reaches a full address, and one to a resource that is gone is refused", async () => {
    const { first, romeo, juliet } = await twoOnline(nodes);
    const payload = "<query xmlns='jabber:iq:last'/>";
    await first.send(romeo, `<iq to='${JULIET}/balcony' type='get' id='10'>${payload}</iq>`);
    expect(one(juliet, "iq").attrs).toMatchObject({ type: "get", from: `${ROMEO}/orchard` });
    await first.send(romeo, `<iq to='${JULIET}/gone' type='get' id='11'>${payload}</iq>`);
    const refusal = one(romeo, "iq");
    expect(refusal.attrs).toMatchObject({ type: "error", id: "11", from: `${JULIET}/gone` });
    expect(conditionOf(refusal)).toBe("service-unavailable");
  });
});

test("a request of a stranger is answered as if the resource were gone", async () => {
  const { cluster, first, last, juliet } = await twoOnline(2);
  cluster.stores.addUser(`tybalt@${DOMAIN}`);
  const tybalt = await first.login(`tybalt@${DOMAIN}/street`);
  const ask = async (to: string) => {
    const payload = "<query xmlns='jabber:iq:last'/>";
    await first.send(tybalt, `<iq to='${to}' type='get' id='1'>${payload}</iq>`);
    await cluster.settle();
  };
  await ask(`${JULIET}/gone`);
  const gone = one(tybalt, "iq");
  await ask(`${JULIET}/balcony`);
  const refused = one(tybalt, "iq");
  expect(String(refused)).toBe(String(gone).replaceAll("/gone", "/balcony"));
  expect(take(juliet)).toEqual([]);
  await last.send(juliet, `<presence to='tybalt@${DOMAIN}'/>`);
  await ask(`${JULIET}/balcony`);
  expect(one(juliet, "iq").attrs.type).toBe("get");
});

test("another domain is not found while there is no server-to-server", async () => {
  const { first, romeo } = await twoOnline(1);
  await first.send(romeo, "<message to='juliet@elsewhere.example' id='1'><body>a</body></message>");
  expect(conditionOf(one(romeo, "message"))).toBe("remote-server-not-found");
});

test("an address that is none is answered with jid-malformed", async () => {
  const { first, romeo } = await twoOnline(1);
  await first.send(romeo, "<message to='@@' id='1'><body>a</body></message>");
  expect(conditionOf(one(romeo, "message"))).toBe("jid-malformed");
});

test("requests that are not well made are refused", async () => {
  const { first, romeo } = await twoOnline(1);
  const bad = [
    `<iq to='${DOMAIN}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>`,
    `<iq to='${DOMAIN}' type='get' id='1'/>`,
    `<iq to='${DOMAIN}' type='set' id='2'><a xmlns='a'/><b xmlns='b'/></iq>`,
    `<iq to='${DOMAIN}' type='fetch' id='3'><ping xmlns='urn:xmpp:ping'/></iq>`,
  ];
  for (const xml of bad) {
    await first.send(romeo, xml);
    expect(conditionOf(one(romeo, "iq"))).toBe("bad-request");
  }
});

test("what no module answers is service-unavailable", async () => {
  const { first, romeo } = await twoOnline(1);
  for (const to of [DOMAIN, ROMEO, JULIET, `nobody@${DOMAIN}`]) {
    await first.send(romeo, `<iq to='${to}' type='get' id='1'><query xmlns='unknown'/></iq>`);
    expect(conditionOf(one(romeo, "iq"))).toBe("service-unavailable");
  }
});

test("local to local never leaves the node, and makes no promise on the way", async () => {
  const { cluster, first, romeo, juliet } = await twoOnline(1, {
    archive: { enabled: false },
  });
  const before = first.mesh.frames;
  const { parseStanza } = await import("../xml/parser.ts");
  const parsed = parseStanza(
    Buffer.from(`<message to='${JULIET}' type='chat' id='1'><body>a</body></message>`),
    new Map([["", "jabber:client"]]),
  );
  expect(first.router.onStanza(romeo, parsed, 1)).toBeUndefined();
  expect(one(juliet, "message").attrs.id).toBe("1");
  expect(first.mesh.frames).toBe(before);
  expect(cluster.shared.revision).toBeGreaterThan(0);
});

test("a session that another one replaces is closed with conflict, on whatever node", async () => {
  const { cluster, last, juliet, first } = await twoOnline(2);
  const again = await first.login(`${JULIET}/balcony`);
  await cluster.settle();
  expect(juliet.closedWith).toBe("conflict");
  expect(cluster.shared.snapshot(JULIET).routes.map(({ session }) => session)).toEqual([again.id]);
  const third = await first.login(`${JULIET}/balcony`);
  expect(again.closedWith).toBe("conflict");
  expect(third.closedWith).toBeUndefined();
  expect(last.sessions.size).toBe(0);
});

test("what a session did not get goes to another resource first, then what came later", async () => {
  const { cluster, first, last, romeo, juliet } = await twoOnline(2);
  const phone = await first.login(`${JULIET}/phone`);
  await first.send(phone, "<presence/>");
  await cluster.settle();
  take(phone);
  const write = (id: string) =>
    first.send(
      romeo,
      `<message to='${JULIET}/balcony' type='chat' id='${id}'><body>a</body></message>`,
    );
  for (const id of ["1", "2", "3", "4", "5"]) await write(id);
  void last.drop(juliet);
  await write("late");
  await cluster.settle();
  expect(take(phone, "message").map(({ attrs }) => attrs.id)).toEqual([
    "1",
    "2",
    "3",
    "4",
    "5",
    "late",
  ]);
});

test("requests that a session did not answer are answered for it when it ends", async () => {
  const { cluster, first, last, romeo, juliet } = await twoOnline(2);
  const payload = "<query xmlns='jabber:iq:last'/>";
  await first.send(romeo, `<iq to='${JULIET}/balcony' type='get' id='1'>${payload}</iq>`);
  await last.drop(juliet);
  await cluster.settle();
  const answers = take(romeo, "iq");
  expect(answers.map(({ attrs }) => [attrs.type, attrs.id])).toEqual([["error", "1"]]);
});

test("a message that nobody can store comes back", async () => {
  const { cluster, first, romeo } = await twoOnline(2);
  const unavailable = Object.assign(new Error("no answer"), { code: "store-timeout" });
  cluster.stores.storedFor = () => {
    throw unavailable;
  };
  cluster.stores.offline.get = () => {
    throw unavailable;
  };
  cluster.stores.addUser(`nurse@${DOMAIN}`);
  await first.send(romeo, `<message to='nurse@${DOMAIN}' id='1'><body>a</body></message>`);
  expect(conditionOf(one(romeo, "message"))).toBe("internal-server-error");
});

test("frames that are not valid are refused and change nothing", async () => {
  const { cluster, first, juliet } = await twoOnline(2);
  const bad = [
    [1, "00"],
    [1, "0000000001"],
    [1, `0000000001000361622f000173000000000001${"ff".repeat(30)}`],
    [2, "0000ffff"],
    [3, ""],
    [4, "0000ffff"],
    [8, "0000ffff"],
  ] as const;
  const handle = async (kind: number, payload: string) =>
    await first.router.onFrame("node-2", kind as never, Buffer.from(payload, "hex"));
  for (const [kind, payload] of bad) {
    await expect(handle(kind, payload)).rejects.toMatchObject({ code: "mesh-bad-frame" });
  }
  const ofTheNext = handle(200, "0000");
  await expect(ofTheNext).rejects.toMatchObject({ code: "mesh-unknown-kind" });
  await cluster.settle();
  expect(juliet.received).toEqual([]);
});

test("who routes by what was is told how it is by the exit node, and reads nothing", async () => {
  const cluster = new Cluster({ nodes: 3 });
  for (const user of [ROMEO, JULIET]) cluster.stores.addUser(user);
  const [first, second, third] = [cluster.node(0), cluster.node(1), cluster.node(2)];
  const romeo = await first.login(`${ROMEO}/orchard`);
  const juliet = await second.login(`${JULIET}/balcony`);
  await second.send(juliet, "<presence/>");
  const say = (id: string) =>
    first.send(
      romeo,
      `<message to='${JULIET}' type='chat' id='${id}'><body>${id}</body></message>`,
    );
  const idsOf = (session: typeof romeo) => take(session, "message").map(({ attrs }) => attrs.id);
  await say("m1");
  const phone = await third.login(`${JULIET}/phone`);
  await third.send(phone, "<presence/>");
  await cluster.settle();
  expect(first.routes.lookup(JULIET)).toMatchObject({ routes: [{ resource: "balcony" }] });
  const reads: string[] = [];
  const read = first.routes.read.bind(first.routes);
  first.routes.read = (user) => {
    reads.push(user);
    return read(user);
  };
  const { routesReread } = first.router.counters;
  const { frames } = first.mesh;
  await say("m2");
  expect(first.mesh.frames - frames).toBe(2); // One to each of her nodes.
  // From now on it is known.
  await say("m3");
  expect(first.mesh.frames - frames).toBe(4);
  expect(idsOf(juliet)).toEqual(["m1", "m2", "m3"]);
  expect(idsOf(phone)).toEqual(["m2", "m3"]);
  expect(first.router.counters.routesReread).toBe(routesReread);
  expect(reads.filter((user) => user === JULIET)).toEqual([]);
});
