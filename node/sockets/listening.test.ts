import type { Socket } from "node:net";
import { connect } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { listenTogether } from "./listening.ts";

const CLIENTS = 64;

const open = (port: number, onSocket: (socket: Socket) => void) =>
  listenTogether({ host: "127.0.0.1", port, whom: "tests", onSocket, onAcceptError() {} });

test.runIf(process.platform === "linux")(
  "many are taken in one turn of the event loop",
  async () => {
    const taken = new Set<Socket>();
    const listening = await open(0, (socket) => void taken.add(socket));
    const clients = Array.from({ length: CLIENTS }, () => connect(listening.port, "127.0.0.1"));
    let turns = 0;
    for (; taken.size < CLIENTS; turns += 1) await nextTurn();
    expect(turns).toBeLessThan(CLIENTS / 2);
    for (const socket of [...clients, ...taken]) socket.destroy();
    await listening.close();
  },
);

test("who listens there already is heard of, and a closed port is free", async () => {
  const first = await open(0, (socket) => socket.destroy());
  await expect(open(first.port, () => undefined)).rejects.toThrow(
    `Cannot listen for tests on 127.0.0.1:${first.port}: EADDRINUSE`,
  );
  await first.close();
  const second = await open(first.port, (socket) => socket.destroy());
  expect(second.port).toBe(first.port);
  await second.close();
});
