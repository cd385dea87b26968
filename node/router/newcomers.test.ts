import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import type { ClientSession } from "../session/contract.ts";
import { message } from "../session/testing/door-kit.ts";
import { Jid } from "../stanza/jid.ts";
import type { Consignment } from "./hand-over.ts";
import { Newcomers } from "./newcomers.ts";

const jid = Jid.parse("romeo@localhost/orchard");
const again: Consignment = {
  envelope: message("m"),
  origin: { session: "juliet", count: 1 },
  stamped: false,
  copy: undefined,
  again: true,
  rerouted: false,
  remembered: true,
};
const newSession = () => ({ id: "s", jid }) as unknown as ClientSession;

function bench() {
  const clock = new FakeClock();
  const known = { revision: 1, routes: [{}] };
  const asked: string[] = [];
  const { promise: answer, resolve } = Promise.withResolvers<boolean>();
  const newcomers = new Newcomers({
    routes: { known: () => known as never },
    deliverer: {
      hadBefore: (_, user) => {
        asked.push(user);
        return answer;
      },
    },
    clock,
  });
  return { clock, known, asked, resolve, newcomers };
}

test("who began lately may have had before what is sent again, and who is silent is not waited for", async () => {
  const { clock, asked, resolve, newcomers } = bench();
  const session = newSession();
  newcomers.bound(session);
  const silent = newcomers.hadBefore(session, again);
  expect(asked).toEqual([jid.bare]);
  clock.advance(1_000);
  expect(await silent).toBe(false);
  const next = newcomers.hadBefore(session, again);
  clock.advance(50); // The next one behind it waits no second.
  expect(await next).toBe(false);
  resolve(true);
  expect(await newcomers.hadBefore(session, again)).toBe(true);
});

test("nobody is asked about what cannot have come before, nor for a user with several sessions", () => {
  const { known, asked, newcomers } = bench();
  const session = newSession();
  newcomers.bound(session);
  const others = [
    { again: false },
    { rerouted: true },
    { copy: "received" },
    { origin: undefined },
  ];
  for (const other of others) {
    expect(newcomers.hadBefore(session, { ...again, ...other } as Consignment)).toBeUndefined();
  }
  expect(newcomers.hadBefore(newSession(), again)).toBeUndefined(); // It came from another node.
  known.routes.push({});
  expect(newcomers.hadBefore(session, again)).toBeUndefined();
  expect(asked).toEqual([]);
});

test("a session is a newcomer for ten minutes", () => {
  const { clock, newcomers } = bench();
  const session = newSession();
  newcomers.bound(session);
  clock.advance(599_999);
  expect(newcomers.hadBefore(session, again)).toBeDefined();
  clock.advance(1);
  expect(newcomers.hadBefore(session, again)).toBeUndefined();
});
