import { expect, test, vi } from "vitest";
import { makeCredentials } from "../auth/credentials.ts";
import { FakeClock } from "../base/fake-clock.ts";
import type { ClientSession } from "./contract.ts";
import { Session } from "./session.ts";
import type { Kit } from "./testing/door-kit.ts";
import { bodyOf, message, openKit, testRoutes, until } from "./testing/door-kit.ts";
import type { RawClient } from "./testing/raw-client.ts";
import {
  ACKS,
  authenticated,
  detached,
  resumable,
  resume,
  resumeText,
} from "./testing/resuming.ts";

const ASK = `<r xmlns='${ACKS}'/>`;
const ack = (h: number | string) => `<a xmlns='${ACKS}' h='${h}'/>`;
const left = (kit: Kit) => kit.router.ended.at(-1)?.unacknowledged.map(bodyOf);

/** A session whose message has arrived and is accepted only when the test says. */
async function withheld(kit: Kit, accepted: Promise<void>): Promise<ClientSession> {
  kit.router.accept = () => accepted;
  return await detached(kit, async (client) => {
    client.send("<message id='a'/>");
    await until(() => kit.router.stanzas.length === 1, "it arrives");
  });
}

/** Somebody asks for a session, and waits for what it is still to accept. */
async function asked(kit: Kit, session: ClientSession): Promise<RawClient> {
  const client = await authenticated(kit);
  client.send(resumeText(session.id, 0));
  await until(() => session instanceof Session && session.isClaimed, "it waits");
  return client;
}

test.each([
  ["as long as we offer", "", "300"],
  ["as long as it wishes", " max='20'", "20"],
  ["no longer than we offer", " max='4000000'", "300"],
])("a session can be resumed %s", async (_, wish, max) => {
  await using kit = await openKit();
  const { session, enabled } = await resumable(kit, "orchard", wish);
  expect(enabled).toBe(`<enabled xmlns='${ACKS}' id='${session.id}' resume='true' max='${max}'/>`);
});

test.each([
  ["resume='false'", "<enabled xmlns='urn:xmpp:sm:3'/>"],
  ["resume='0' max='7'", "<enabled xmlns='urn:xmpp:sm:3'/>"],
  ["resume='true' max='0'", "<enabled xmlns='urn:xmpp:sm:3'/>"],
  ["resume='perhaps'", "<bad-request xmlns"],
  ["resume='true' max='long'", "<bad-request xmlns"],
])("enabling with %s is answered with %s", async (attributes, expected) => {
  await using kit = await openKit();
  const { client } = await kit.bound();
  client.send(`<enable xmlns='${ACKS}' ${attributes}/>`);
  expect(await client.read(/<enabled[^>]*>|<\/failed>/)).toContain(expected);
});

test("with resumption switched off it is neither offered nor done", async () => {
  await using kit = await openKit({ config: { resumeSeconds: 0 } });
  const { session, client, enabled } = await resumable(kit);
  expect(enabled).toBe(`<enabled xmlns='${ACKS}'/>`);
  client.destroy();
  await until(() => kit.router.ended.length === 1, "it ends");
  const next = await authenticated(kit);
  next.send(resumeText(session.id, 0));
  expect(await next.read("</failed>")).toContain("<feature-not-implemented xmlns");
  expect(await next.bind("orchard")).toContain("<jid>");
});

test("a session goes on where it was: what was not handled is sent again, in order, once", async () => {
  await using kit = await openKit();
  const session = await detached(kit, async (client, open) => {
    client.send("<message id='a'/><presence/>");
    for (const body of ["one", "two", "three"]) open.deliver(message(body));
    open.send(Buffer.from("<iq xmlns='jabber:client' type='result' id='four'/>"));
    await client.read("four");
    client.send(ack(1));
    await until(() => kit.router.stanzas.length === 2, "all arrive");
  });
  session.state.set("presence", "here");
  expect(session.deliver(message("five"))).toBe(true);
  expect(kit.door).toMatchObject({ detached: 1, sessions: { size: 1 } });
  expect(kit.router.ended).toEqual([]);
  const client = await authenticated(kit);
  client.send(resumeText(session.id, 2));
  expect(await client.read(/<resumed[^>]*>/)).toBe(
    `<resumed xmlns='${ACKS}' previd='${session.id}' h='2'/>`,
  );
  const again = await client.read(ASK);
  expect(again).not.toContain("two");
  expect(again).toMatch(/three.*id='four'.*five/s);
  client.send(`<message id='b'/>${ack(5)}${ASK}`);
  expect(await client.read(/<a [^>]*>/)).toContain("h='3'");
  expect(await session.whenAcknowledged?.()).toBe(true);
  expect(kit.door.sessions.get("romeo@localhost/orchard")).toBe(session);
  expect(session.state.get("presence")).toBe("here");
  expect(kit.router.counts).toEqual([1, 2, 3].map((count) => `${session.id} ${count}`));
  expect(kit.router.order).toEqual(
    ["bound", "detached", "resumed", "active"].map((what) => `${what} ${session.id}`),
  );
  expect(kit.door).toMatchObject({ detached: 0, negotiating: 0 });
});

test("what was sent behind the resumption is the session's", async () => {
  await using kit = await openKit();
  const session = await detached(kit);
  const client = await authenticated(kit);
  client.send(`${resumeText(session.id, 0)}<message id='behind'/>${ASK}`);
  expect(await client.read(/<a [^>]*>/)).toContain("h='1'");
  expect(kit.router.stanzas.map(({ attributes }) => attributes.id)).toEqual(["behind"]);
});

test("a session can be resumed again and again", async () => {
  await using kit = await openKit();
  const session = await detached(kit);
  for (let turn = 1; turn <= 3; turn += 1) {
    session.deliver(message(`n${turn}.`));
    const client = await resume(kit, session, turn - 1);
    expect(await client.read(`n${turn}.`)).not.toContain(`n${turn - 1}.`);
    client.destroy();
    await until(() => session.isDetached === true, "detached again");
  }
});

test("more than a connection takes at once is sent again in portions", async () => {
  await using kit = await openKit({ limits: { waitingBytesMax: 700_000 } });
  const session = await detached(kit);
  const long = "x".repeat(20_000);
  for (let number = 1; number <= 100; number += 1) session.deliver(message(`n${number}.${long}`));
  const client = await resume(kit, session, 0);
  session.deliver(message("n101."));
  const all = await client.read("n101.");
  expect([...all.matchAll(/n(\d+)\./g)].map(([, number]) => Number(number))).toEqual(
    Array.from({ length: 101 }, (_, index) => index + 1),
  );
});

test("a stream that is still open ends with conflict when its session is resumed", async () => {
  await using kit = await openKit();
  const { client: old, session } = await resumable(kit);
  const client = await resume(kit, session, 0);
  expect(await old.readToEnd()).toContain("<conflict xmlns");
  session.deliver(message("one"));
  await client.read("one");
  expect(kit.router.ended).toEqual([]);
});

test("the count waits for what is still being accepted", async () => {
  await using kit = await openKit();
  const { promise, resolve } = Promise.withResolvers<void>();
  kit.router.accept = () => promise;
  const session = await detached(kit, async (client) => {
    client.send("<message id='a'/><message id='b'/>");
    await until(() => kit.router.stanzas.length === 2, "both arrive");
  });
  const client = await authenticated(kit);
  client.send(`${resumeText(session.id, 0)}<message id='c'/>`);
  await until(() => kit.door.negotiating === 1, "it waits");
  expect(client.received).toBe("");
  resolve();
  expect(await client.read(/<resumed[^>]*>/)).toContain("h='2'");
});

test("what is not accepted in time sends the client away, to resume later", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock });
  const { promise, resolve } = Promise.withResolvers<void>();
  const session = await withheld(kit, promise);
  const client = await asked(kit, session);
  await until(() => {
    clock.advance(1_000);
    return client.isClosed;
  }, "the deadline");
  const all = await client.readToEnd();
  expect(all).toContain("<resource-constraint xmlns");
  expect(all).not.toContain("<failed");
  resolve();
  const later = await authenticated(kit);
  later.send(resumeText(session.id, 0));
  expect(await later.read(/<resumed[^>]*>/)).toContain("h='1'");
});

test("of two that resume one session at once the later one gets it", async () => {
  await using kit = await openKit();
  const { promise, resolve } = Promise.withResolvers<void>();
  const session = await withheld(kit, promise);
  const second = await authenticated(kit);
  const first = await asked(kit, session);
  second.send(resumeText(session.id, 0));
  second.send("<message id='b'/>");
  await new Promise((done) => setTimeout(done, 20));
  resolve();
  expect(await first.readToEnd()).toContain("<conflict xmlns");
  expect(await second.read(/<resumed[^>]*>/)).toContain("h='1'");
});

test("a client that leaves while it resumes leaves the session as it was", async () => {
  await using kit = await openKit();
  const { promise, resolve } = Promise.withResolvers<void>();
  const session = await withheld(kit, promise);
  const client = await asked(kit, session);
  client.destroy();
  await until(() => kit.door.negotiating === 0, "it is gone");
  resolve();
  await resume(kit, session, 0);
});

test.each([
  ["an unknown id", (id: string) => resumeText(`x${id}`, 0), "item-not-found"],
  ["no id", () => `<resume xmlns='${ACKS}' h='0'/>`, "bad-request"],
  ["no count", (id: string) => `<resume xmlns='${ACKS}' previd='${id}'/>`, "bad-request"],
  ["a count that is none", (id: string) => resumeText(id, "many"), "bad-request"],
  ["a count over 32 bits", (id: string) => resumeText(id, 2 ** 32), "bad-request"],
])("resuming with %s fails, and the client may bind", async (_, text, condition) => {
  await using kit = await openKit();
  const session = await detached(kit);
  const client = await authenticated(kit);
  client.send(text(session.id));
  const failed = await client.read("</failed>");
  expect(failed).toContain(`<${condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>`);
  expect(failed).not.toContain(" h=");
  expect(await client.bind("balcony")).toContain("<jid>");
  expect(session.isDetached).toBe(true);
  expect(kit.door.stats.resumptionsFailed).toBeLessThanOrEqual(1);
});

test("what a client counted that has left meanwhile is nothing to its session", async () => {
  await using kit = await openKit();
  const session = (await detached(kit, (_, open) => open.deliver(message("one")))) as Session;
  await session.freeze();
  const client = await authenticated(kit);
  const looks = vi.spyOn(kit.door.sessions, "ofUser");
  client.send(resumeText(session.id, 2));
  await until(() => looks.mock.calls.length > 0, "it is looked for");
  client.destroy();
  await until(() => kit.door.negotiating === 0, "it has left");
  session.thaw();
  await until(() => kit.door.stats.resumptionsFailed > 0, "the end of the search");
  await resume(kit, session, 1);
  expect(kit.router.ended).toEqual([]);
});

test("nobody resumes the session of another user", async () => {
  await using kit = await openKit();
  kit.accounts.users.set(
    "juliet@localhost",
    await makeCredentials("secret", { iterations: 4_096 }),
  );
  const session = await detached(kit);
  const client = await authenticated(kit, "juliet");
  client.send(resumeText(session.id, 0));
  expect(await client.read("</failed>")).toContain("<item-not-found xmlns");
  await resume(kit, session, 0);
});

test("nobody resumes before logging in, or after binding", async () => {
  await using kit = await openKit();
  const session = await detached(kit);
  const early = await kit.connect();
  await early.open();
  early.send(resumeText(session.id, 0));
  expect(await early.read("</failed>")).toContain("<unexpected-request xmlns");
  const { client } = await kit.bound("balcony");
  client.send(resumeText(session.id, 0));
  expect(await client.read("</failed>")).toContain("<unexpected-request xmlns");
  expect(session.isDetached).toBe(true);
});

test("a session without resumption is not found, while it lives and after", async () => {
  await using kit = await openKit();
  const { client, session } = await kit.bound();
  await client.enableAcks();
  const other = await authenticated(kit);
  other.send(resumeText(session.id, 0));
  expect(await other.read("</failed>")).toContain("<item-not-found xmlns");
  client.destroy();
  await until(() => kit.router.ended.length === 1, "it ends");
  other.send(resumeText(session.id, 0));
  expect(await other.read("</failed>")).not.toContain(" h=");
});

test("who counts more than was sent is sent away, and the session ends as by a disconnect", async () => {
  await using kit = await openKit();
  const session = await detached(kit, (_, open) => open.deliver(message("one")));
  const client = await authenticated(kit);
  client.send(resumeText(session.id, 2));
  const end = await client.readToEnd();
  expect(end).toContain("<undefined-condition xmlns");
  expect(end).toContain(`<handled-count-too-high xmlns='${ACKS}' h='2' send-count='1'/>`);
  await until(() => kit.router.ended.length === 1, "it ends");
  expect(left(kit)).toEqual(["one"]);
});

test.each([
  ["ends its stream", (client: RawClient) => client.send("</stream:stream>")],
  ["breaks the XML", (client: RawClient) => client.send("<message></iq>")],
  ["breaks the rules", (client: RawClient) => client.send("<x xmlns='urn:x'/>")],
  ["loses count", (client: RawClient) => client.send(ack(77))],
])("a client that %s ends its session at once", async (_, act) => {
  await using kit = await openKit();
  const { client, session } = await resumable(kit);
  session.deliver(message("one"));
  act(client);
  await until(() => kit.router.ended.length === 1, "it ends");
  expect(left(kit)).toEqual(["one"]);
  expect(kit.door.detached).toBe(0);
  expect(kit.router.order).not.toContain(`detached ${session.id}`);
});

test("a client that is silent too long loses its stream, not its session", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock, limits: { sweepMs: 1_000, unansweredSweeps: 3 } });
  const { client, session } = await resumable(kit);
  session.deliver(message("one"));
  await client.read("one");
  clock.advance(3_000);
  expect(await client.readToEnd()).toContain("<connection-timeout xmlns");
  expect(session.isDetached).toBe(true);
  await (await resume(kit, session, 0)).read("one");
});

test("when the window closes the session ends, and who comes then hears what was accepted", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock, config: { resumeSeconds: 60 } });
  const session = await detached(kit, async (client, open) => {
    client.send("<message id='a'/>");
    await until(() => kit.router.stanzas.length === 1, "it arrives");
    open.deliver(message("one"));
  });
  session.deliver(message("two"));
  clock.advance(59_000);
  expect(kit.door.detached).toBe(1);
  clock.advance(2_000);
  await until(() => kit.router.ended.length === 1, "it ends");
  expect(left(kit)).toEqual(["one", "two"]);
  expect(kit.door).toMatchObject({ detached: 0, sessions: { size: 0 } });
  expect(kit.door.stats).toMatchObject({ sessionsExpired: 1, sessionsDetached: 1 });
  const client = await authenticated(kit);
  client.send(resumeText(session.id, 0));
  expect(await client.read("</failed>")).toBe(
    `<failed xmlns='${ACKS}' h='1'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>`,
  );
});

test("a session that lost its address while its client was away does not say what it had accepted", async () => {
  await using kit = await openKit();
  const session = await detached(kit, async (client) => {
    client.send("<message id='a'/>");
    await until(() => kit.router.stanzas.length === 1, "it arrives");
  });
  session.close("conflict");
  const client = await authenticated(kit);
  client.send(resumeText(session.id, 0));
  // It may have gone on elsewhere, and accepted more there.
  expect(await client.read("</failed>")).toMatch(/<failed xmlns='[^']*'><item-not-found/);
});

test("no window closes while its node has no lease, and the session may be another's", async () => {
  const clock = new FakeClock();
  const routes = Object.assign(testRoutes(), { holdsLease: false });
  await using kit = await openKit({ clock, routes, config: { resumeSeconds: 60 } });
  await detached(kit, async () => {});
  const second = async () => {
    clock.advance(1_000);
    await new Promise<void>((resolve) => setImmediate(resolve));
  };
  for (let count = 0; count < 70; count += 1) await second();
  expect(kit.door.detached).toBe(1);
  routes.holdsLease = true;
  await until(() => {
    clock.advance(1_000);
    return kit.router.ended.length === 1;
  }, "it ends");
});

test("a session that was told that it is over does not go on, while its client has not heard", async () => {
  await using kit = await openKit();
  const { client, session } = await resumable(kit);
  client.send("<message to='juliet@localhost'><body>hi</body></message>");
  await until(() => kit.router.stanzas.length === 1, "it arrives");
  client.socket.pause();
  session.close("internal-server-error", "Presence could not be published");
  const next = await authenticated(kit);
  next.send(resumeText(session.id, 0));
  const failed = await next.read(/<failed.*<\/failed>/s);
  expect(failed).toContain("<item-not-found xmlns");
  expect(failed).toContain("h='1'");
  expect(kit.door.sessions.get("romeo@localhost/orchard")).toBeUndefined();
  await until(() => kit.router.ended.length === 1, "it has ended");
});

test("the window begins anew with each break", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock, config: { resumeSeconds: 60 } });
  const session = await detached(kit);
  clock.advance(50_000);
  const client = await resume(kit, session, 0);
  clock.advance(20_000);
  expect(kit.router.ended).toEqual([]);
  client.destroy();
  await until(() => session.isDetached === true, "detached again");
  clock.advance(50_000);
  expect(session.isDetached).toBe(true);
});

test.each([
  ["stanzas", { outboxStanzasMax: 3 }, {}],
  ["bytes", {}, { outboxBytesMax: 500 }],
])(
  "a detached session that gets too many %s ends, and all is passed on",
  async (_, config, limits) => {
    await using kit = await openKit({ config, limits });
    const session = await detached(kit);
    const bodies = [];
    for (let number = 1; session.deliver(message(`n${number}`)); number += 1) {
      bodies.push(`n${number}`);
    }
    expect(bodies.length).toBeGreaterThan(2);
    await until(() => kit.router.ended.length === 1, "it ends");
    expect(left(kit)).toEqual(bodies);
  },
);

test("of too many detached sessions the one that waits the longest ends", async () => {
  await using kit = await openKit({ config: { detachedMax: 2 } });
  const sessions = [];
  for (const resource of ["a", "b", "c"]) {
    const { client, session } = await resumable(kit, resource);
    client.destroy();
    await until(() => kit.router.order.includes(`detached ${session.id}`), "detached");
    sessions.push(session);
  }
  await until(() => kit.router.ended.length === 1, "one ends");
  expect(kit.router.ended[0]?.session).toBe(sessions[0]);
  expect(kit.door.detached).toBe(2);
});

test("a new session of the same address ends the detached one first", async () => {
  await using kit = await openKit();
  const session = await detached(kit, (_, open) => open.deliver(message("one")));
  const second = await kit.bound("orchard");
  expect(left(kit)).toEqual(["one"]);
  expect(kit.router.order.slice(-2)).toEqual([`ended ${session.id}`, `bound ${second.session.id}`]);
  expect(kit.door.detached).toBe(0);
});

test("a drain ends detached sessions, and those whose clients it sends away", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock });
  await detached(kit, (_, open) => open.deliver(message("one")));
  const { client } = await resumable(kit, "balcony");
  client.socket.on("data", () => client.send("</stream:stream>"));
  let isDone = false;
  const drained = kit.door.drain({ perSecond: 1_000, deadlineMs: 60_000 }).then(() => {
    isDone = true;
  });
  await until(() => {
    clock.advance(50);
    return isDone;
  }, "drained");
  await drained;
  expect(kit.router.ended).toHaveLength(2);
  expect(kit.complaints).toEqual([]);
});

test("a session that another node takes over while it is resumed here is to be resumed later", async () => {
  await using kit = await openKit();
  const { promise, resolve } = Promise.withResolvers<void>();
  const session = await withheld(kit, promise);
  const client = await asked(kit, session);
  if (session instanceof Session) session.forget();
  resolve();
  const all = await client.readToEnd();
  expect(all).toContain("<resource-constraint xmlns");
  expect(all).not.toContain("<failed");
});
