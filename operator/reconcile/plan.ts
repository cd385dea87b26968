/**
 * The rollout planner: a pure function from counts to at most one change of size. It keeps, always:
 *
 * - no step takes a ready node away when fewer than replicas - maxUnavailable would be left;
 * - no step adds a node when there would be more than replicas + maxSurge, stopping ones included;
 * - no step takes a node away while another one stops: clients move in one stream, not in many;
 * - revisions other than the target only shrink;
 * - nothing that still may recover is given up for a target that does not work.
 */

/** One node as the planner sees it. */
export interface PlannedNode {
  readonly name: string;
  readonly isReady: boolean;
  readonly isStopping: boolean;
  /** Chosen by an earlier step to be the next of its revision to stop. */
  readonly isMarked: boolean;
}

export interface PlannedRevision {
  readonly id: string;
  /** How many nodes its ReplicaSet is told to have. */
  readonly wanted: number;
  /** Its controller reports that it may not make nodes: a quota, an admission policy. */
  readonly isBarred: boolean;
  readonly nodes: readonly PlannedNode[];
}

export interface Situation {
  readonly replicas: number;
  readonly maxSurge: number;
  readonly maxUnavailable: number;
  /** The revision that spec asks for; absent from `revisions` until its ReplicaSet is there. */
  readonly target: string;
  /** The revision that all nodes ran last; absent before that happened. */
  readonly stable: string | undefined;
  readonly revisions: readonly PlannedRevision[];
}

export type Plan =
  | { readonly kind: "done" }
  | { readonly kind: "grow"; readonly revision: string; readonly wanted: number }
  /** Marks `node`, so that the ReplicaSet's controller picks it when it is shrunk. */
  | { readonly kind: "mark"; readonly revision: string; readonly node: string }
  | {
      readonly kind: "shrink";
      readonly revision: string;
      readonly wanted: number;
      readonly node: string | undefined;
    }
  | { readonly kind: "wait"; readonly for: Hindrance; readonly node?: string };

export type Hindrance = "ReplicaSet" | "NodeStarting" | "DrainInProgress" | "NoRoom";

const alive = ({ nodes }: PlannedRevision) => nodes.filter((node) => !node.isStopping);

const serving = (revision: PlannedRevision): number =>
  alive(revision).filter(({ isReady }) => isReady).length;

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** The next step. Calling it again with the same counts gives the same step. */
export function plan(situation: Situation): Plan {
  const target = situation.revisions.find(({ id }) => id === situation.target);
  if (target === undefined) return { kind: "wait", for: "ReplicaSet" };
  return grow(situation, target) ?? shrink(situation, target) ?? rest(situation, target);
}

function grow({ replicas, maxSurge, revisions }: Situation, target: PlannedRevision) {
  // What its controller is about to stop, or has stopped unseen, still takes room.
  if (revisions.some(isShrinking)) return undefined;
  const total = sum(
    revisions.map((revision) => revision.wanted + revision.nodes.length - alive(revision).length),
  );
  const room = replicas + maxSurge - total;
  const wanted = Math.min(replicas, target.wanted + room);
  if (wanted <= target.wanted) return undefined;
  return { kind: "grow", revision: target.id, wanted } as const;
}

const findStopping = (revisions: readonly PlannedRevision[]): PlannedNode | undefined =>
  revisions.flatMap(({ nodes }) => nodes).find(({ isStopping }) => isStopping);

const isShrinking = (revision: PlannedRevision) => alive(revision).length > revision.wanted;

const isMissing = (revision: PlannedRevision) => alive(revision).length < revision.wanted;

const hasUnready = (revision: PlannedRevision) => alive(revision).some(({ isReady }) => !isReady);

/** Every node it should have is there and ready. True of an empty one: nothing speaks against it. */
const isProven = (revision: PlannedRevision) => serving(revision) >= revision.wanted;

function shrink(situation: Situation, target: PlannedRevision): Plan | undefined {
  const { replicas, maxUnavailable, revisions, stable } = situation;
  const shrinkable = revisions.filter(
    ({ id, wanted }) => wanted > (id === target.id ? replicas : 0),
  );
  if (shrinkable.length === 0) return undefined;
  const stopping = findStopping(revisions);
  if (stopping !== undefined) return { kind: "wait", for: "DrainInProgress", node: stopping.name };
  if (revisions.some(isShrinking)) return { kind: "wait", for: "DrainInProgress" };
  // Given up by the spec (first), too many of the right ones, and last what is known to work.
  const rank = ({ id }: PlannedRevision) => (id === target.id ? 1 : id === stable ? 2 : 0);
  const ordered = shrinkable.toSorted((a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1));
  // Unready nodes cost no service, but those that worked once may come back by themselves.
  const idle = ordered.find(
    (revision) =>
      (isMissing(revision) ? revision.isBarred : hasUnready(revision)) &&
      (revision.id !== stable || revision.id === target.id || isProven(target)),
  );
  if (idle !== undefined) return takeIdle(idle);
  // A node that is missing for no known reason is there the next moment, or is not seen yet.
  if (!isProven(target) || ordered.some(isMissing)) {
    return { kind: "wait", for: "NodeStarting", ...nameOf(unreadyOf(target)) };
  }
  const isSpare = sum(revisions.map(serving)) - 1 >= replicas - maxUnavailable;
  const next = ordered[0]; // All of its nodes are ready, or it would have been idle.
  if (!isSpare || next === undefined) return { kind: "wait", for: "NoRoom" };
  return takeReady(next);
}

const unreadyOf = (revision: PlannedRevision) => alive(revision).find(({ isReady }) => !isReady);
const nameOf = (node: PlannedNode | undefined) => (node === undefined ? {} : { node: node.name });

/** A node that is not ready is given up, or one that cannot be made. */
function takeIdle(revision: PlannedRevision): Plan {
  const node = unreadyOf(revision)?.name;
  return { kind: "shrink", revision: revision.id, wanted: revision.wanted - 1, node };
}

/** Marked in one step, stopped in the next: the mark must be seen before the size changes. */
function takeReady(revision: PlannedRevision): Plan {
  const nodes = alive(revision).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const marked = nodes.find(({ isMarked }) => isMarked);
  if (marked === undefined) {
    return { kind: "mark", revision: revision.id, node: nodes[0]?.name ?? "" };
  }
  return {
    kind: "shrink",
    revision: revision.id,
    wanted: revision.wanted - 1,
    node: marked.name,
  };
}

function rest({ replicas, revisions }: Situation, target: PlannedRevision): Plan {
  const stopping = findStopping(revisions);
  if (stopping !== undefined) return { kind: "wait", for: "DrainInProgress", node: stopping.name };
  if (revisions.some(isShrinking)) return { kind: "wait", for: "DrainInProgress" };
  if (serving(target) < replicas) {
    return { kind: "wait", for: "NodeStarting", ...nameOf(unreadyOf(target)) };
  }
  return { kind: "done" };
}
