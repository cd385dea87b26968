import { expect, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import { FakeClock } from "../base/fake-clock.ts";
import type { Route, RouteSet } from "../routes/contract.ts";
import type { Kit } from "./testing/door-kit.ts";
import { bodyOf, logIn, message, openKit, testRoutes, until } from "./testing/door-kit.ts";

const ACKS = "urn:xmpp:sm:3";
const ASK = `<r xmlns='${ACKS}'/>`;
const ack = (h: number | string) => `<a xmlns='${ACKS}' h='${h}'/>`;
const left = (kit: Kit) => kit.router.ended.at(-1)?.unacknowledged.map(bodyOf);

/** A router whose acceptance of each stanza the test decides. */
function undecided(kit: Kit) {
  const open: { resolve(): void; reject(error: Error): void }[] = [];
  kit.router.accept = () => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    open.push({ resolve, reject });
    return promise;
  };
  return open;
}

test("stanzas go in and out, in order", async () => {
  await using kit = await openKit();
  const { client, session } = await kit.bound();
  client.send(
    "<message id='1'/><presence/><iq type='get' id='2'><ping xmlns='urn:xmpp:ping'/></iq>",
  );
  await until(() => kit.router.stanzas.length === 3, "all arrive");
  for (let number = 1; number <= 50; number += 1) {
    expect(session.deliver(message(`n${number}.`))).toBe(true);
  }
  const text = await client.read("n50.");
  expect([...text.matchAll(/n(\d+)\./g)].map((match) => Number(match[1]))).toEqual(
    Array.from({ length: 50 }, (_, index) => index + 1),
  );
  expect(kit.door.stats).toMatchObject({ stanzasOut: 50 });
});

test("the old session request is granted, a second bind is not", async () => {
  await using kit = await openKit();
  const { client } = await kit.bound();
  const session = "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>";
  client.send(`<iq type='set' id='s&apos;' to='localhost'>${session}</iq>`);
  const granted = await client.read(/<iq[^>]*\/>/);
  expect(granted).toContain("type='result'");
  expect(granted).toMatch(/id='s(&#39;|&apos;|&#x27;)'/);
  client.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
  expect(await client.read("</iq>")).toContain("<not-allowed xmlns");
  expect(kit.router.stanzas).toEqual([]);
});

test("the client is told how many of its stanzas were accepted, once they are", async () => {
  await using kit = await openKit();
  const { client } = await kit.bound();
  const open = undecided(kit);
  client.send("<message id='before'/>");
  await client.enableAcks();
  client.send(`<message/><message/>${ASK}`);
  await until(() => open.length === 3, "three wait");
  open[2]?.resolve();
  open[1]?.resolve();
  client.send(`<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>`);
  expect(await client.read("id='s'/>")).not.toContain("<a "); // The first one is still open.
  open[0]?.resolve();
  // Two messages and the session request; the message from before enabling does not count.
  expect(await client.read(/<a [^>]*>/)).toContain("h='3'");
});

test("acknowledgements are enabled once, and a second time is refused without harm", async () => {
  await using kit = await openKit();
  const { client } = await kit.bound();
  client.send(ASK + ack(0)); // Before they are enabled: nothing to say.
  client.send(`<enable xmlns='${ACKS}'/>`);
  expect(await client.read(/<enabled[^>]*>/)).toBe(`<enabled xmlns='${ACKS}'/>`);
  client.send(`<enable xmlns='${ACKS}'/>`);
  expect(await client.read("</failed>")).toContain("<unexpected-request");
  client.send(`<resume xmlns='${ACKS}' previd='x' h='1'/>`);
  expect(await client.read("</failed>")).toContain("<unexpected-request");
  client.send(ASK);
  expect(await client.read(/<a [^>]*>/)).toContain("h='0'");
});

test("what the client did not acknowledge comes back in order when it dies", async () => {
  await using kit = await openKit();
  const { client, session } = await kit.bound();
  await client.enableAcks();
  for (const body of ["one", "two", "three"]) session.deliver(message(body));
  session.send(Buffer.from("<iq type='result' id='x' xmlns='jabber:client'/>"));
  session.deliver(message("four"));
  await client.read(ASK);
  await client.read("four");
  client.send(ack(1));
  await client.read(ASK); // There are newer stanzas to ask about.
  client.destroy();
  await until(() => kit.router.ended.length === 1, "the session ends");
  expect(left(kit)).toEqual(["two", "three", "four"]);
  expect(session.deliver(message("late"))).toBe(false);
  expect(session.send(Buffer.from("<iq/>"))).toBe(false);
  expect(kit.door.stats.stanzasUnacknowledged).toBe(3);
});

test.each([
  [
    "more than was sent",
    ack(3),
    "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='3' send-count='2'/>",
  ],
  ["no number", ack("x"), "<bad-format xmlns"],
  ["a negative number", ack("-1"), "<bad-format xmlns"],
  ["a number over 32 bits", ack(2 ** 32), "<bad-format xmlns"],
  ["nothing", `<a xmlns='${ACKS}'/>`, "<bad-format xmlns"],
])("acknowledging %s ends the stream and hands everything back", async (_, text, expected) => {
  await using kit = await openKit();
  const { client, session } = await kit.bound();
  await client.enableAcks();
  session.deliver(message("one"));
  session.deliver(message("two"));
  client.send(text);
  expect(await client.readToEnd()).toContain(expected);
  await until(() => kit.router.ended.length === 1, "the session ends");
  expect(left(kit)).toEqual(["one", "two"]);
});

test("a client that acknowledges nothing is disconnected when its outbox is full", async () => {
  await using kit = await openKit({ config: { outboxStanzasMax: 10 } });
  const { client, session } = await kit.bound();
  await client.enableAcks();
  const taken = Array.from({ length: 12 }, (_, number) => session.deliver(message(`${number}`)));
  expect(taken.filter((isTaken) => isTaken)).toHaveLength(10);
  await client.read("<policy-violation xmlns");
  client.send(`${ack(4)}</stream:stream>`); // What it says now still spares it repeats.
  await until(() => kit.router.ended.length === 1, "the session ends");
  expect(left(kit)).toEqual(["4", "5", "6", "7", "8", "9"]);
});

test("whenAcknowledged tells when the client has everything, or that it never will", async () => {
  await using kit = await openKit();
  const { client, session } = await kit.bound();
  session.deliver(message("plain"));
  expect(await session.whenAcknowledged?.()).toBe(true);
  await client.enableAcks();
  expect(await session.whenAcknowledged?.()).toBe(true);
  session.deliver(message("one"));
  const first = session.whenAcknowledged?.();
  session.deliver(message("two"));
  const second = session.whenAcknowledged?.();
  await client.read("two");
  client.send(ack(1));
  expect(await first).toBe(true);
  client.destroy();
  expect(await second).toBe(false);
  expect(await session.whenAcknowledged?.()).toBe(false);
});

test("without acknowledgements, what the system never took comes back", async () => {
  await using kit = await openKit({ limits: { waitingBytesMax: 4_000_000 } });
  const { client, session } = await kit.bound();
  client.socket.pause();
  const body = "x".repeat(200_000);
  let sent = 0;
  while (session.deliver(message(`${sent}-${body}`))) {
    sent += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => kit.router.ended.length === 1, "the stalled client is dropped");
  const numbers = left(kit)?.map((text) => Number(text.split("-")[0])) ?? [];
  expect(numbers.length).toBeGreaterThan(5);
  expect(numbers).toEqual(numbers.map((_, index) => sent - numbers.length + index));
});

test("at most so many stanzas wait for the router; then reading stops until it catches up", async () => {
  await using kit = await openKit({ limits: { unacceptedMax: 8 } });
  const { client } = await kit.bound();
  const open = undecided(kit);
  const body = "y".repeat(1_000);
  const stanza = (number: number) => `<message id='${number}'><body>${body}</body></message>`;
  const total = 20_000;
  for (let number = 0; number < total; number += 1) client.send(stanza(number));
  await until(() => open.length === 8, "eight are with the router");
  await until(() => client.socket.writableLength > 0, "the client cannot get rid of the rest");
  expect(open).toHaveLength(8);
  const bytesBefore = kit.door.stats.bytesIn;
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(kit.door.stats.bytesIn).toBe(bytesBefore);
  for (let next = 0; next < total; next += 1) {
    await until(() => open.length > next, "the next arrives");
    expect(open.length - next).toBeLessThanOrEqual(8);
    open[next]?.resolve();
  }
  expect(kit.router.stanzas.map(({ attributes }) => Number(attributes.id))).toEqual(
    Array.from({ length: total }, (_, number) => number),
  );
});

test("what was read before the end reaches the router, however long its queue", async () => {
  await using kit = await openKit({ limits: { unacceptedMax: 2 } });
  const { client } = await kit.bound();
  undecided(kit);
  client.send(`${"<message/>".repeat(20)}</stream:stream>`);
  await until(() => kit.router.ended.length === 1, "the session ends");
  expect(kit.router.stanzas).toHaveLength(20);
  expect(await client.readToEnd()).toContain("</stream:stream>");
});

test("a stanza that breaks the rules stops those behind it, but not those before", async () => {
  await using kit = await openKit({ limits: { unacceptedMax: 2 } });
  const { client } = await kit.bound();
  const open = undecided(kit);
  client.send(`${"<message/>".repeat(4)}<x xmlns='urn:x'/><message/></stream:stream>`);
  await until(() => kit.router.ended.length === 1, "the session ends");
  expect(kit.router.stanzas).toHaveLength(4);
  for (const { resolve } of open) resolve();
});

test("a router that accepts at once is never handed a stanza twice", async () => {
  await using kit = await openKit({ limits: { unacceptedMax: 2 } });
  const { client } = await kit.bound();
  const open = undecided(kit);
  client.send(Array.from({ length: 30 }, (_, number) => `<message id='${number}'/>`).join(""));
  await until(() => open.length === 2, "two wait");
  kit.router.accept = () => {};
  for (const { resolve } of open) resolve();
  await until(() => kit.router.stanzas.length >= 30, "the rest follows");
  const ids = kit.router.stanzas.map(({ attributes }) => Number(attributes.id));
  expect(ids).toEqual(Array.from({ length: 30 }, (_, number) => number));
});

test("a stanza the router cannot accept is never acknowledged: the stream ends", async () => {
  await using kit = await openKit();
  const { client } = await kit.bound();
  await client.enableAcks();
  const open = undecided(kit);
  client.send(`<message/><message/>${ASK}`);
  await until(() => open.length === 2, "two wait");
  open[0]?.reject(new Error("a bug"));
  open[1]?.resolve();
  const rest = await client.readToEnd();
  expect(rest).toContain("<internal-server-error xmlns");
  expect(rest).not.toContain("<a ");
  expect(kit.complaints).toContain("stanza-not-accepted");
});

test("a second session of one address ends the first with conflict, and its end comes first", async () => {
  await using kit = await openKit();
  const first = await kit.bound("orchard");
  await first.client.enableAcks();
  first.session.deliver(message("not seen"));
  const second = await kit.bound("orchard");
  expect(await first.client.readToEnd()).toContain("<conflict xmlns");
  expect(kit.router.order).toEqual([
    `bound ${first.session.id}`,
    `ended ${first.session.id}`,
    `bound ${second.session.id}`,
  ]);
  expect(left(kit)).toEqual(["not seen"]);
  expect(kit.router.bound[1]?.replaced?.session).toBe(first.session.id);
  expect(kit.door.sessions.get("romeo@localhost/orchard")).toBe(second.session);
  expect(second.session.deliver(message("seen"))).toBe(true);
  await second.client.read("seen");
});

test("the router is told which session of another node lost its address", async () => {
  const routes = testRoutes();
  const other = {
    user: "romeo@localhost",
    resource: "orchard",
    node: "other-node",
    session: "s1",
    available: true,
    priority: 0,
  };
  await routes.bind(other);
  await using kit = await openKit({ routes });
  await kit.bound("orchard");
  expect(kit.router.bound[0]?.replaced).toEqual(other);
});

test("what comes for a session before its client knows its address follows the bind result", async () => {
  await using kit = await openKit();
  let waiting: Promise<boolean> | undefined;
  kit.router.welcome = (session) => {
    session.deliver(message("early"));
    waiting = session.whenAcknowledged?.();
  };
  const client = await kit.connect();
  await logIn(client);
  const answer = await client.bind("orchard");
  expect(answer).not.toContain("early");
  await client.read("early");
  expect(await waiting).toBe(true);
});

test("a client that leaves while it is bound leaves nothing behind", async () => {
  await using kit = await openKit();
  const gate = Promise.withResolvers<void>();
  kit.router.welcome = (session) => {
    session.deliver(message("early"));
    return gate.promise;
  };
  const client = await kit.connect();
  await logIn(client);
  client.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
  await until(() => kit.router.bound.length === 1, "bound");
  client.destroy();
  await until(() => kit.door.stats.connections === 0, "the connection is gone");
  expect(kit.router.ended).toEqual([]);
  gate.resolve();
  await until(() => kit.router.ended.length === 1, "the end follows the beginning");
  expect(left(kit)).toEqual(["early"]);
  expect(kit.door.sessions.size).toBe(0);
});

test("a bind that cannot be announced is refused and undone", async () => {
  await using kit = await openKit();
  kit.router.welcome = () => Promise.reject(new Unavailable("store-timeout", "Cannot load"));
  const client = await kit.connect();
  await logIn(client);
  expect(await client.bind("orchard")).toContain("<resource-constraint xmlns");
  await until(() => kit.router.ended.length === 1, "it ends");
  expect(kit.door.sessions.size).toBe(0);
  kit.router.welcome = () => {};
  expect(await client.bind("orchard")).toContain("<jid>");
});

test("closing waits for what the client still has to say about what it received", async () => {
  await using kit = await openKit();
  const { client, session } = await kit.bound();
  await client.enableAcks();
  session.deliver(message("one"));
  session.deliver(message("two"));
  session.close("policy-violation", "because");
  expect(session.deliver(message("three"))).toBe(false);
  expect(await client.read("</stream:stream>")).toContain(">because</text>");
  client.send(ack(2));
  await client.closed();
  await until(() => kit.router.ended.length === 1, "the session ends");
  expect(left(kit)).toEqual([]);
});

test("a silent client is asked, kept alive, and dropped when it owes an answer too long", async () => {
  const clock = new FakeClock();
  const limits = { sweepMs: 1_000, keepAliveSweeps: 3, unansweredSweeps: 4 };
  await using kit = await openKit({ clock, limits });
  const quiet = await kit.bound("quiet");
  const owing = await kit.bound("owing");
  await owing.client.enableAcks();
  clock.advance(3_000);
  expect(await quiet.client.read(/^ $/)).toBe(" ");
  owing.session.deliver(message("one"));
  await owing.client.read(ASK);
  clock.advance(1_000);
  const rest = await owing.client.readToEnd();
  expect(rest).toContain("<connection-timeout xmlns");
  await until(() => kit.router.ended.length === 1, "it ends");
  expect(left(kit)).toEqual(["one"]);
  expect(kit.door.sessions.size).toBe(1);
});

test("an end that cannot be handed over is tried again, and its route stays until then", async () => {
  const clock = new FakeClock();
  const routes = testRoutes();
  const published = async () => (await routes.read("romeo@localhost")).routes.length;
  await using kit = await openKit({ clock, routes });
  const { client, session } = await kit.bound();
  await client.enableAcks();
  session.deliver(message("one"));
  let tries = 0;
  kit.router.part = async () => {
    tries += 1;
    expect(await published()).toBe(1);
    if (tries < 3) throw new Unavailable("store-timeout", "Cannot store");
  };
  client.destroy();
  await until(() => tries === 1, "first try");
  await until(() => {
    clock.advance(250);
    return kit.router.ended.length === 1;
  }, "handed over at last");
  expect(tries).toBe(3);
  expect(left(kit)).toEqual(["one"]);
  expect(await published()).toBe(0);
  expect(kit.complaints).toEqual([
    "session-end-not-handed-over-yet",
    "session-end-not-handed-over-yet",
  ]);
});

test("of two binds of one address at once the later commit wins, in whatever order they answer", async () => {
  const real = testRoutes();
  const gate = Promise.withResolvers<void>();
  let binds = 0;
  const routes = {
    async bind(route: Route) {
      binds += 1;
      const isFirst = binds === 1;
      const result = await real.bind(route);
      if (isFirst) await gate.promise;
      return result;
    },
    unbind: (route: Route) => real.unbind(route),
    read: (user: string) => real.read(user),
    takeOver: (route: Route, seen: RouteSet) => real.takeOver(route, seen),
    nodes: real.nodes,
    holdsLease: true,
  };
  await using kit = await openKit({ routes });
  const first = await kit.connect();
  await logIn(first);
  const ns = "urn:ietf:params:xml:ns:xmpp-bind";
  first.send(`<iq type='set' id='b'><bind xmlns='${ns}'><resource>orchard</resource></bind></iq>`);
  await until(() => binds === 1, "the first is committed");
  const second = await kit.bound("orchard");
  gate.resolve();
  expect(await first.readToEnd()).toContain("<conflict xmlns");
  expect(kit.door.sessions.get("romeo@localhost/orchard")).toBe(second.session);
  expect((await real.read("romeo@localhost")).routes[0]?.session).toBe(second.session.id);
});

test("an end that can never be handed over is reported, and the door goes on", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock, limits: { endingAttempts: 2 } });
  const { client } = await kit.bound();
  kit.router.part = () => Promise.reject(new Unavailable("store-timeout", "Cannot store"));
  client.destroy();
  await until(() => {
    clock.advance(4_000);
    return kit.door.stats.endingsFailed === 1;
  }, "given up");
  expect(kit.complaints).toContain("session-end-not-handed-over");
});

test("a client that goes on talking while it is sent away cannot fill the memory", async () => {
  await using kit = await openKit({ limits: { unacceptedMax: 4 } });
  const { client, session } = await kit.bound();
  const open = undecided(kit);
  client.send("<message/>".repeat(10));
  await until(() => open.length === 4, "four wait");
  session.close("system-shutdown");
  for (let turn = 0; turn < 200; turn += 1) client.send("<message/>".repeat(6_000));
  await until(() => kit.router.ended.length === 1, "the session ends");
  expect(kit.door.stats.bytesIn).toBeLessThan(1_000_000);
});
