/** What a shadow answers to the owners of sessions. */
import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { silentLog } from "../base/log.ts";
import type { ClientSession } from "../session/contract.ts";
import type { MirrorItem } from "../shadow/mirror.ts";
import type { KeepingParts } from "./keeping.ts";
import { Keeping } from "./keeping.ts";
import { packSession } from "./session-wire.ts";

const USER = "juliet@capulet.example";

/** That session, whole. */
function whole(session: string): MirrorItem {
  const route = { user: USER, resource: session, node: "owner", session, available: true };
  const counts = { windowMs: 60_000, received: 0, countedFrom: 0, acknowledged: 0 };
  const state = {
    ...{ ...counts, route: { ...route, priority: 0 } },
    ...{ lang: undefined, mayRepeat: false, inherited: undefined },
  };
  const nothing = { waiting: [], held: [], carried: new Map(), recent: [] };
  return { kind: "whole", id: session, sequence: 1, payload: packSession({ state, ...nothing }) };
}

/** Of this node's sessions only their ids matter here. */
function shadowWith(...ids: string[]): Keeping {
  const sessions = ids.map((id) => ({ id, moving: undefined }) as ClientSession);
  return new Keeping({
    sessions: () => ({ ofUser: () => sessions }),
    peers: { ready: async () => true },
    routes: { nodes: new Map([["owner", {}]]) },
    clock: new FakeClock(),
    log: silentLog,
  } as unknown as KeepingParts);
}

test("a session that goes on here is kept, and no copy of it is", async () => {
  const shadow = shadowWith("hers");
  const frame = { term: 1, items: [whole("hers"), whole("another")] };
  expect(await shadow.take("owner", frame)).toEqual(["kept", "stored"]);
  expect(shadow.copies).toBe(1);
  expect([shadow.isKept("hers"), shadow.isKept("another")]).toEqual(["gone", "perhaps"]);
});

test("a node that goes soon takes no copies, and those it has count as before", async () => {
  const shadow = shadowWith();
  expect(await shadow.take("owner", { term: 1, items: [whole("hers")] })).toEqual(["stored"]);
  shadow.leave();
  await expect(shadow.take("owner", { term: 1, items: [whole("hers")] })).rejects.toMatchObject({
    code: "mesh-failed",
  });
  expect(shadow.isKept("hers")).toBe("perhaps");
});
