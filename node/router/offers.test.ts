/** Whom a node that goes asks to go on with its sessions. */
import { expect, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import { silentLog } from "../base/log.ts";
import type { NodeRecord, Route } from "../routes/contract.ts";
import type { MoveAnswer } from "./frames.ts";
import { decodeMove, encodeMoveAnswer } from "./frames.ts";
import type { OfferParts } from "./offers.ts";
import { Offers } from "./offers.ts";

const record = (incarnation: string) => ({ incarnation, zone: "" }) as NodeRecord;
const route = (session: string): Route => ({
  ...{ user: "romeo@capulet.example", resource: "orchard", node: "self", session },
  ...{ available: true, priority: 0 },
});

/** @param says what nodes answer; who is not named does not */
function offersAmong(nodes: readonly string[], says: Record<string, MoveAnswer["kind"]>) {
  const asked: string[] = [];
  const offers = new Offers({
    routes: { nodes: new Map(nodes.map((node) => [node, record(node)])) },
    mesh: {
      async request(node: string, _kind: unknown, payload: Buffer) {
        asked.push(`${node} ${decodeMove(payload).route.session}`);
        const kind = says[node];
        if (kind === undefined) throw new Unavailable("mesh-timeout", "Cannot reach node");
        return encodeMoveAnswer({ kind } as MoveAnswer);
      },
    },
    zone: "",
    log: silentLog,
  } as unknown as OfferParts);
  return { offers, asked };
}

test("the node that has the copy is asked first, then others until one takes the session", async () => {
  const { offers, asked } = offersAmong(["a", "b"], { a: "kept", b: "later" });
  await offers.make(route("s"), "b");
  expect(asked).toEqual(["b s", "a s"]);
  await offers.make(route("t"), "a");
  expect(asked.slice(2)).toEqual(["a t"]);
});

test("a node that does not answer is not asked for the next session", async () => {
  const { offers, asked } = offersAmong(["a", "b"], { a: "later" });
  await offers.make(route("s"), "b");
  await offers.make(route("t"), "b");
  expect(asked).toEqual(["b s", "a s", "a t"]);
});
