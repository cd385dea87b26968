import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import type { ClientSession } from "./contract.ts";
import { isMovable } from "./contract.ts";
import { openKit, until } from "./testing/door-kit.ts";
import { detached, resume } from "./testing/resuming.ts";

const ACKS = "urn:xmpp:sm:3";

test("a session that has ended here and comes back from another node keeps its route", async () => {
  await using kit = await openKit();
  const { client, session } = await kit.bound();
  client.send(`<enable xmlns='${ACKS}' resume='true'/>`);
  await client.read(/<enabled[^>]*>/);
  client.destroy();
  await until(() => session.isDetached === true, "detached");
  if (!isMovable(session)) throw new Error("Cannot test: it cannot move");
  const state = session.snapshot();
  const { promise: passedOn, resolve } = Promise.withResolvers<void>();
  kit.router.part = () => passedOn;
  session.close("policy-violation");
  expect(kit.door.sessions.size).toBe(0);
  const seen = await kit.routes.read("romeo@localhost");
  const incoming = { state, install() {}, undo() {}, onTaken() {} };
  expect(await kit.door.adopt(incoming, seen)).toBe("taken");
  resolve();
  await until(() => kit.router.ended.length === 1, "what it had before is passed on");
  await new Promise<void>((settled) => setImmediate(settled));
  const { routes } = await kit.routes.read("romeo@localhost");
  expect(routes.map((route) => route.session)).toEqual([session.id]);
});

test("what another node says to have as it was later is not published", async () => {
  await using kit = await openKit();
  const { client, session } = await kit.bound();
  client.send(`<enable xmlns='${ACKS}' resume='true'/>`);
  await client.read(/<enabled[^>]*>/);
  if (!isMovable(session)) throw new Error("Cannot test: it cannot move");
  const state = session.snapshot();
  client.send("</stream:stream>");
  const routes = async () => (await kit.routes.read("romeo@localhost")).routes;
  while ((await routes()).length > 0) await new Promise<void>((turn) => setImmediate(turn));
  const install = (one: ClientSession) => void (isMovable(one) && one.forget());
  const seen = await kit.routes.read("romeo@localhost");
  const incoming = { state, install, undo() {}, onTaken() {} };
  expect(await kit.door.adopt(incoming, seen)).toBe("again");
  expect(await routes()).toEqual([]);
});

test("what its client says long after it is back from a dead node does not count as said again", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock });
  const session = await detached(kit);
  if (!isMovable(session)) throw new Error("Cannot test: it cannot move");
  const state = { ...session.snapshot(), mayRepeat: true };
  session.forget();
  const seen = await kit.routes.read("romeo@localhost");
  const incoming = { state, install() {}, undo() {}, onTaken() {} };
  expect(await kit.door.adopt(incoming, seen)).toBe("taken");
  const said: unknown[] = [];
  const adopted = () => kit.door.sessions.get(session.jid.full);
  kit.router.accept = () => void said.push(adopted()?.mayRepeat);
  const speak = async (client: { send(text: string): void }, text: string) => {
    client.send(`${text}<message/>`);
    const { length } = said;
    await until(() => said.length > length, "it arrives");
  };
  const answer = `<a xmlns='${ACKS}' h='0'/>`;
  const client = await resume(kit, session, 0);
  clock.advance(20_000); // Its line is slow.
  await speak(client, "");
  await speak(client, answer);
  clock.advance(9_999);
  await speak(client, answer);
  client.destroy();
  await until(() => adopted()?.isDetached === true, "detached");
  const next = await resume(kit, session, 0);
  clock.advance(20_000);
  await speak(next, answer);
  expect(said).toEqual([true, true, true, true]);
  clock.advance(10_000);
  await speak(next, answer);
  expect(said.at(-1)).toBe(false);
});
