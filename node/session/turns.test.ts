/** Where more is sent than can be handled, clients take turns, whatever door they came in by. */
import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import type { LineName } from "../stream/turns.ts";
import { Turns } from "../stream/turns.ts";
import { until } from "./testing/door-kit.ts";
import type { WebKit } from "./testing/web-kit.ts";
import { openWebKit } from "./testing/web-kit.ts";

const CROWD = 10;
/** One piece. */
const CHAT = `<message xmlns='jabber:client'><body>${"x".repeat(5_000)}</body></message>`;

/** Those who wait in each line always have more to say. */
function crowd() {
  const clock = new FakeClock();
  const turns = new Turns(clock);
  let isThere = true;
  let turnsTaken = 0;
  const come = (name: LineName): void => {
    const who = {
      takeTurn() {
        turnsTaken += 1;
        clock.advance(1);
        if (isThere) turns.wait(who, name);
      },
    };
    for (let at = 0; at < CROWD; at++) turns.wait(who, name);
  };
  return {
    turns,
    gathers() {
      for (const name of ["begun", "new", "little", "much"] as const) come(name);
      turns.hasTime(Number.MAX_SAFE_INTEGER);
    },
    leaves() {
      isThere = false;
    },
    turnsTaken: () => turnsTaken,
  };
}

/** Says it twice, at once. @returns ends the session */
type Speak = () => () => Promise<unknown>;

async function overWebSocket(web: WebKit): Promise<Speak> {
  const { client } = await web.bound();
  return () => {
    for (const said of [CHAT, CHAT]) client.send(said);
    return () => {
      client.socket.close();
      return client.closed();
    };
  };
}

async function overBosh(web: WebKit): Promise<Speak> {
  const client = web.bosh();
  await client.logIn();
  return () => {
    const answers = [client.post(CHAT), client.post(CHAT)];
    return () => Promise.all([...answers, client.post("", "type='terminate'")]);
  };
}

test.each([
  ["WebSocket", overWebSocket],
  ["BOSH", overBosh],
])("over %s nobody has another piece handled before all who wait had one", async (_door, logIn) => {
  const { turns, gathers, leaves, turnsTaken } = crowd();
  await using web = await openWebKit({ door: { turns } });
  const speak = await logIn(web);
  const before: number[] = [];
  web.kit.router.accept = () => void before.push(turnsTaken());
  gathers();
  const end = speak();
  await until(() => before.length === 2, "both are heard");
  leaves();
  await end();
  const [first = 0, second = 0] = before;
  expect(second - first).toBeGreaterThanOrEqual(CROWD);
});
