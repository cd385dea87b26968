/**
 * Each step that a session takes from one node to another is taken once. Who takes it makes a key for it, in the
 * transaction by which the route becomes its own, and nobody does who finds it made. The key outlives the leases
 * of all nodes: one that stood still cannot put back the route of a session that has gone on since, although
 * the node that has it now stands still as well, and etcd knows of no route at all.
 */
import type { ICompare, IRequestOp } from "etcd3";
import type { Route } from "./contract.ts";
import { MOVES_MAX } from "./contract.ts";
import type { Keys } from "./keys.ts";
import type { Outcome } from "./transactions.ts";
import { isWrittenAt, put } from "./transactions.ts";

/** The step that leads to where a route says that its session is. */
export interface Step {
  /** Holds as long as nobody has taken it. */
  readonly isFree: readonly ICompare[];
  /** Takes it. @param leaseId that of notes */
  take(leaseId: string): readonly IRequestOp[];
  /** Asks who has taken it: what a transaction does instead, see takerIn. */
  readonly whoTook: readonly IRequestOp[];
}

const UNCOUNTED: Step = { isFree: [], take: () => [], whoTook: [] };

export function stepTo(keys: Keys, { session, moves = 0, node }: Route): Step {
  if (moves === 0 || moves >= MOVES_MAX) return UNCOUNTED;
  const key = keys.step(session, moves);
  return {
    isFree: [isWrittenAt(key, 0)],
    take: (leaseId) => [put(key, Buffer.from(node), leaseId)],
    whoTook: [{ request_range: { key: Buffer.from(key) } }],
  };
}

/** The node that has taken the step, for which nothing was done. */
export function takerIn({ response }: Outcome): string | undefined {
  const answer = response?.response_txn;
  if (answer === undefined || answer.succeeded) return undefined;
  return answer.responses[0]?.response_range?.kvs[0]?.value.toString("utf8");
}
