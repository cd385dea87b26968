import { expect, test } from "vitest";
import type { MovableSession, Shadow } from "./contract.ts";
import { isMovable } from "./contract.ts";
import type { Kit } from "./testing/door-kit.ts";
import { bodyOf, logIn, message, openKit, until } from "./testing/door-kit.ts";

const ACKS = "urn:xmpp:sm:3";
const PING = "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>";

/** Has everything when the test says so, and never asks anybody to wait for it. */
class TestShadow implements Shadow {
  isWithholding = true;
  begin(): void {}
  changed(): void {}
  acknowledged(): void {}
  progressed(): void {}
  isHolding = false;
  /** How often it was asked about that. */
  asked = 0;
  holds(): boolean {
    this.asked += 1;
    return this.isHolding;
  }
  withholds(): boolean {
    return this.isWithholding;
  }
  settled(): undefined {}
  isSafe(): boolean {
    return true;
  }
  close(): void {}
  end(): void {}
  async leave(): Promise<void> {}
  async offer(): Promise<void> {}
  left(): void {}
}

/** Romeo, whose session has a shadow. */
async function shadowed(kit: Kit) {
  const shadow = new TestShadow();
  kit.router.shadow = shadow;
  const { client, session } = await kit.bound();
  if (!isMovable(session)) throw new Error("Cannot test: it cannot move");
  client.send(`<enable xmlns='${ACKS}' resume='true'/>`);
  await client.read(/<enabled[^>]*>/);
  return { shadow, client, session };
}

const give = (session: MovableSession, ...bodies: readonly string[]) => {
  for (const body of bodies) expect(session.deliver(message(body))).toBe(true);
};

/** All that has been written before the answer of the door itself. */
async function seen(client: Awaited<ReturnType<Kit["connect"]>>): Promise<readonly string[]> {
  client.send(`<r xmlns='${ACKS}'/>`);
  const text = await client.read(/<a xmlns[^>]*>/);
  return [...text.matchAll(/<body>(.*?)<\/body>|<r xmlns/g)].map(([all, body]) => body ?? all);
}

test("a client is given what its shadow has, in order, and is asked for no more", async () => {
  await using kit = await openKit();
  const { client, session } = await shadowed(kit);
  give(session, "one", "two", "three");
  expect(await seen(client)).toEqual([]);
  expect(session.letOut(2)).toBe(false);
  expect(await seen(client)).toEqual(["one", "two", "<r xmlns"]);
  client.send(`<a xmlns='${ACKS}' h='2'/>`);
  await until(() => session.progress?.acknowledged === 2, "it has acknowledged them");
  expect(await seen(client)).toEqual([]);
  expect(session.letOut(3)).toBe(true);
  expect(await seen(client)).toEqual(["three", "<r xmlns"]);
});

test("what need not wait for the shadow waits for what does", async () => {
  await using kit = await openKit();
  const { client, session, shadow } = await shadowed(kit);
  give(session, "one");
  shadow.isWithholding = false;
  give(session, "two");
  expect(await seen(client)).toEqual([]);
  expect(session.letOut(Number.POSITIVE_INFINITY)).toBe(true);
  expect(await seen(client)).toEqual(["one", "two", "<r xmlns"]);
  client.send(`<a xmlns='${ACKS}' h='2'/>${PING}`);
  give(session, "three");
  expect(await client.read("three")).not.toContain("two");
});

test("a client that comes back is not given what its shadow does not have", async () => {
  await using kit = await openKit();
  const { client, session } = await shadowed(kit);
  give(session, "one", "two");
  session.letOut(1);
  await client.read("one");
  client.destroy();
  await until(() => session.isDetached === true, "detached");
  give(session, "three");
  const again = await kit.connect();
  await logIn(again);
  again.send(`<resume xmlns='${ACKS}' previd='${session.id}' h='0'/>`);
  await again.read(/<resumed[^>]*>/);
  expect(await seen(again)).toEqual(["one", "<r xmlns"]);
  session.letOut(3);
  expect(await seen(again)).toEqual(["two", "three"]);
});

test("what is withheld when a session is closed is given to its client first", async () => {
  await using kit = await openKit();
  const { client, session } = await shadowed(kit);
  give(session, "one");
  session.close("undefined-condition", "Somebody said so");
  expect(await client.read("</stream:stream>")).toContain("<body>one</body>");
  client.destroy();
  await until(() => kit.router.ended.length === 1, "it ends");
  expect(kit.router.ended[0]?.unacknowledged.map(bodyOf)).toEqual(["one"]);
});

test("what a client sends waits while its session may be another node's", async () => {
  await using kit = await openKit();
  const { client, session, shadow } = await shadowed(kit);
  shadow.isWithholding = false;
  shadow.isHolding = true;
  const { asked } = shadow;
  client.send(PING);
  client.send(PING.replace("'p'", "'q'"));
  await until(() => shadow.asked > asked, "it has been read");
  expect(session.progress?.received).toBe(0);
  session.goOn();
  expect(session.progress?.received).toBe(0);
  shadow.isHolding = false;
  session.goOn();
  await until(() => session.progress?.received === 2, "both are taken");
});

test("but not what it says that it has", async () => {
  await using kit = await openKit();
  const { client, session, shadow } = await shadowed(kit);
  shadow.isWithholding = false;
  give(session, "one");
  await client.read("one");
  shadow.isHolding = true;
  client.send(`${PING}<a xmlns='${ACKS}' h='1'/>`);
  await until(() => session.progress?.acknowledged === 1, "it has acknowledged it");
  expect(session.progress?.received).toBe(0);
});

test("and was never taken, should its stream end before", async () => {
  await using kit = await openKit();
  const { client, session, shadow } = await shadowed(kit);
  shadow.isHolding = true;
  const { asked } = shadow;
  client.send(PING);
  await until(() => shadow.asked > asked, "it has been read");
  client.destroy();
  await until(() => session.isDetached === true, "detached");
  shadow.isHolding = false;
  session.goOn();
  expect(session.progress?.received).toBe(0);
});
