import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { Locks } from "../base/locks.ts";
import { silentLog } from "../base/log.ts";
import { systemRandom } from "../base/random.ts";
import { Chores } from "./chores.ts";
import type { ClaimParts } from "./claim.ts";
import { Claims } from "./claim.ts";
import { Keys } from "./keys.ts";
import type { Operation, Outcome } from "./transactions.ts";

/** Claims whose every write succeeds, over a lease that is held as the test says. */
function scene() {
  const clock = new FakeClock();
  const lease = { id: "7", isHeld: true };
  const writes: Operation[] = [];
  const run = async (operation: Operation) => {
    writes.push(operation);
    return { revision: writes.length, response: { response_txn: { succeeded: true } } } as Outcome;
  };
  const parts = {
    ...{ self: "one", keys: new Keys("/test/"), locks: new Locks(), chores: new Chores(clock) },
    ...{ lease, writes: { run }, random: systemRandom, clock, log: silentLog },
    requestTimeoutMs: 1_000,
  };
  return { claims: new Claims(parts as unknown as ClaimParts), lease, writes, clock };
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const removed = ({ request }: Operation) =>
  request?.request_txn?.success?.[0]?.request_delete_range?.key?.toString();
const valueIn = ({ request }: Operation) =>
  request?.request_txn?.success?.[0]?.request_put?.value?.toString();
const comparedIn = ({ request }: Operation) =>
  request?.request_txn?.compare?.[0]?.value?.toString();

test("a claim that was lost stays lost and is removed, though the same lease is proven again", async () => {
  const { claims, lease, writes, clock } = scene();
  const claim = await claims.take("room");
  lease.isHeld = false;
  claims.loseAll();
  lease.isHeld = true;
  expect(claim?.isHeld).toBe(false);
  expect(claim?.over.aborted).toBe(true);
  expect(writes).toHaveLength(1);
  clock.advance(1_000);
  await turn();
  expect(writes.slice(1).map(removed)).toEqual(["/test/claims/room"]);
  // This one and no later one: another may have been made meanwhile.
  expect(comparedIn(writes[1] as Operation)).toBe(valueIn(writes[0] as Operation));
});

test("a claim whose lease is lost while it is made is over at once", async () => {
  const { claims, lease, writes, clock } = scene();
  const taking = claims.take("room");
  await Promise.resolve();
  lease.isHeld = false;
  const claim = await taking;
  expect(claim?.over.aborted).toBe(true);
  clock.advance(1_000);
  await turn();
  expect(writes.slice(1).map(removed)).toEqual(["/test/claims/room"]);
});
