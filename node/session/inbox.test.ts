import { expect, test } from "vitest";
import { Waiters } from "../base/waiters.ts";
import { Jid } from "../stanza/jid.ts";
import type { ClientSession } from "./contract.ts";
import { Inbox } from "./inbox.ts";
import { Sessions } from "./table.ts";

test("only what was accepted together with everything before it counts", () => {
  const inbox = new Inbox();
  inbox.enable();
  const places = [inbox.receive(), inbox.receive(), inbox.receive()] as const;
  inbox.accept(places[2]);
  inbox.accept(places[1]);
  expect(inbox.unaccepted).toBe(3);
  inbox.accept(places[0]);
  expect(inbox.unaccepted).toBe(0);
  inbox.request();
  expect(inbox.takeAnswer()).toBe(3);
});

test("an answer waits for what came before the question, not for what came after", () => {
  const inbox = new Inbox();
  inbox.enable();
  const first = inbox.receive();
  inbox.request();
  const second = inbox.receive();
  inbox.request();
  expect(inbox.takeAnswer()).toBeUndefined();
  inbox.accept(first);
  expect(inbox.takeAnswer()).toBe(1);
  expect(inbox.takeAnswer()).toBeUndefined();
  inbox.accept(second);
  expect(inbox.takeAnswer()).toBe(2);
});

test("one answer serves all questions that it covers", () => {
  const inbox = new Inbox();
  inbox.enable();
  const place = inbox.receive();
  inbox.request();
  inbox.request();
  inbox.accept(place);
  expect(inbox.takeAnswer()).toBe(1);
  expect(inbox.takeAnswer()).toBeUndefined();
});

test("stanzas from before counting began do not count, even when accepted after", () => {
  const inbox = new Inbox();
  const early = inbox.receive();
  inbox.enable();
  const late = inbox.receive();
  inbox.request();
  inbox.accept(late);
  inbox.accept(early);
  expect(inbox.takeAnswer()).toBe(1);
});

test("the count wraps around at 2^32", () => {
  const inbox = new Inbox();
  inbox.enable(2 ** 32 - 1);
  inbox.accept(inbox.receive());
  inbox.accept(inbox.receive());
  inbox.request();
  expect(inbox.takeAnswer()).toBe(1);
});

test("sessions are found by address and by user, and the newest of an address wins", () => {
  const table = new Sessions<ClientSession>();
  const session = (jid: string) => ({ jid: Jid.parse(jid) }) as ClientSession;
  const [one, two, again] = [session("a@b/1"), session("a@b/2"), session("a@b/1")] as const;
  table.add(one);
  table.add(two);
  table.add(again);
  expect(table.size).toBe(2);
  expect(table.get("a@b/1")).toBe(again);
  table.remove(one); // Replaced already: its end must not take the new one away.
  expect(table.ofUser("a@b")).toEqual([two, again]);
  table.remove(two);
  table.remove(again);
  expect(table.ofUser("a@b")).toEqual([]);
  expect([...table.all()]).toEqual([]);
});

test("waiters hear of the value they wait for, or of the end", async () => {
  const waiters = new Waiters();
  const [first, second] = [waiters.wait(1), waiters.wait(2)];
  waiters.reach(1);
  expect(await first).toBe(true);
  waiters.end();
  expect(await second).toBe(false);
});
