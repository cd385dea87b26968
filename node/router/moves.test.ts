import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { silentLog } from "../base/log.ts";
import type { Incoming } from "../session/contract.ts";
import { decodeMove, encodeMoveAnswer } from "./frames.ts";
import type { MoveParts } from "./moves.ts";
import { Moves } from "./moves.ts";
import { encodeSession } from "./session-wire.ts";

const ROUTE = { user: "d@e", resource: "r", session: "hers", available: true, priority: 1 };

/** The answer of a node that gives a session away. */
function given(payload: Buffer): Buffer {
  const { route } = decodeMove(payload);
  const counts = { windowMs: 1, received: 2, countedFrom: 3, acknowledged: 4 };
  const state = { route, lang: undefined, mayRepeat: false, inherited: undefined, ...counts };
  const none = { waiting: [], held: [], recent: [] };
  const bytes = encodeSession({ state, carried: new Map(), ...none });
  return encodeMoveAnswer({ kind: "part", total: bytes.length, bytes });
}

test("a session of a node that was thought dead is first given what it was passed over for", async () => {
  const caughtUp: unknown[] = [];
  const moves = new Moves({
    ...{ clock: new FakeClock(), log: silentLog, handOver: {}, onTakenOver() {} },
    peers: { ready: async () => true },
    mesh: { request: async (_node: string, _kind: unknown, payload: Buffer) => given(payload) },
    passedOver: { ownerOf: (node: string) => (node === "back" ? "owner" : undefined) },
    catchUp: {
      after(incoming: Incoming, owner: string) {
        caughtUp.push(owner);
        return incoming;
      },
    },
  } as unknown as MoveParts);

  const fetchFrom = (node: string) => moves.fetch({ ...ROUTE, node });
  expect(await fetchFrom("there")).toMatchObject({ state: { route: { node: "there" } } });
  expect(caughtUp).toEqual([]);
  expect(await fetchFrom("back")).toMatchObject({ state: { route: { node: "back" } } });
  expect(caughtUp).toEqual(["owner"]);
});
