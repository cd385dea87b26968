/** A right to act alone: a key that can be made only once, on the node's lease. */

import type { Locks } from "../base/locks.ts";
import type { Random } from "../base/random.ts";
import { randomId } from "../base/random.ts";
import type { Chores } from "./chores.ts";
import type { Claim } from "./contract.ts";
import type { Keys } from "./keys.ts";
import type { LeaseKeeper } from "./lease.ts";
import type { Transactions } from "./transactions.ts";
import { put, remove, wasDone, whenWrittenAt } from "./transactions.ts";

export interface ClaimParts {
  readonly keys: Keys;
  readonly lease: LeaseKeeper;
  readonly locks: Locks;
  readonly writes: Transactions;
  readonly chores: Chores;
  readonly random: Random;
}

/** Undefined when another holds it, in this node or elsewhere. @throws Unavailable "routes-…" */
export function takeClaim(parts: ClaimParts, name: string): Promise<Claim | undefined> {
  const { keys, lease, locks, writes, chores, random } = parts;
  const key = keys.claim(name);
  // Unique, so that a chore removes this claim and no later one.
  const token = Buffer.from(randomId(random));
  const release = async () => {
    await locks.run(key, () => writes.run({ request: whileItHolds(key, token) }));
  };
  return locks.run(key, async () => {
    const leaseId = lease.id;
    const request = whenWrittenAt(key, 0, put(key, token, leaseId));
    const outcome = await writes.run({ request }).catch((error: unknown) => {
      chores.add(`${key} ${token}`, release); // It may have been made nevertheless.
      throw error;
    });
    if (!wasDone(outcome)) return undefined;
    return {
      name,
      get isHeld() {
        return lease.isHeld && lease.id === leaseId;
      },
      [Symbol.asyncDispose]: () => release().catch(() => chores.add(`${key} ${token}`, release)),
    };
  });
}

const whileItHolds = (key: string, token: Buffer) => ({
  request_txn: {
    compare: [{ key: Buffer.from(key), target: "Value", result: "Equal", value: token } as const],
    success: [remove(key)],
  },
});
