/** 2. Clients that nobody here wrote chat across nodes. */
import { expect, test } from "vitest";
import type { Client } from "../../clients/client.ts";
import type { Scene } from "./scene.ts";
import { podDoor } from "./scene.ts";

const MESSAGES = 1_000;
const WAITING = 20;

const numbered = (label: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${label}-${index + 1}`);

function sendAll(from: Client, to: string, ids: readonly string[]): void {
  for (const id of ids) from.do({ do: "message", to, id, body: id });
}

export function chat(scene: () => Scene): void {
  test("slixmpp and @xmpp/client on different nodes become contacts and chat in order", async () => {
    const [first, second] = await scene().pods();
    const romeo = await scene().loginAt([podDoor(first)], "slixmpp", "romeo");
    const juliet = await scene().loginAt([podDoor(second)], "xmpp.js", "juliet");

    romeo.do({ do: "subscribe", to: juliet.address });
    for (const [one, other] of [
      [romeo, juliet],
      [juliet, romeo],
    ] as const) {
      await one.until(`subscription to ${other.address}`, ({ events }) =>
        events.some((e) => e.event === "roster" && e.items[other.address] === "both"),
      );
      await one.until(`presence of ${other.address}`, ({ events }) =>
        events.some(
          (e) =>
            e.event === "presence" &&
            e.sender.startsWith(`${other.address}/`) &&
            e.type === "available",
        ),
      );
    }

    const there = numbered("there", MESSAGES);
    const back = numbered("back", MESSAGES);
    sendAll(romeo, juliet.address, there);
    sendAll(juliet, romeo.address, back);
    await juliet.until("all messages", ({ bodies }) => bodies.length >= MESSAGES, 60_000);
    await romeo.until("all messages", ({ bodies }) => bodies.length >= MESSAGES, 60_000);
    expect(juliet.bodies).toEqual(there);
    expect(romeo.bodies).toEqual(back);

    await romeo[Symbol.asyncDispose]();
    await juliet.until("romeo to be gone", ({ events }) =>
      events.some(
        (e) =>
          e.event === "presence" && e.sender.startsWith(romeo.address) && e.type === "unavailable",
      ),
    );
    await juliet[Symbol.asyncDispose]();
  });

  test("a user who was away receives offline messages exactly once", async () => {
    const romeo = await scene().login("slixmpp", "romeo");
    const mercutio = await scene().account("mercutio");
    const ids = numbered("waiting", WAITING);
    sendAll(romeo, mercutio, ids);
    await romeo.untilAcknowledged(ids);
    await romeo[Symbol.asyncDispose]();

    const first = await scene().login("xmpp.js", "mercutio");
    await first.until("offline messages", ({ bodies }) => bodies.length >= WAITING);
    expect(first.bodies).toEqual(ids);
    expect(first.all("message").every(({ delayed }) => delayed)).toBe(true);
    await first[Symbol.asyncDispose]();

    const second = await scene().login("slixmpp", "mercutio");
    second.do({ do: "ping" });
    await second.until("pong", (one) => one.all("pong").length > 0);
    expect(second.bodies).toEqual([]);
    await second[Symbol.asyncDispose]();
  });
}
