/**
 * What is wrong with a cluster right now, and what may go wrong beside it. Pure. Each fault alone may
 * always come: a series leaves the cluster whole for long enough between two of them.
 */
import type { FaultKind } from "./plan.ts";
import { CALM_MS } from "./plan.ts";

/** Nobody finds the node. */
const GONE: readonly FaultKind[] = ["kill", "pause", "roll"];
/** Its sessions get no shadow. */
const APART: readonly FaultKind[] = [...GONE, "cut-mesh"];
const OF_ETCD: readonly FaultKind[] = ["pause-etcd", "lose-etcd-leader", "etcd-gone"];
const OF_STORE: readonly FaultKind[] = ["pause-store", "fill-store"];

interface Burden {
  readonly kind: FaultKind;
  readonly node: string;
  untilMs: number;
}

export class Burdens {
  #all: Burden[] = [];
  readonly #goneMost: number;
  readonly #nowMs: () => number;

  /** @param goneMost so many nodes may be gone at once; more than one of them take sessions along */
  constructor(goneMost: number, nowMs: () => number) {
    this.#goneMost = goneMost;
    this.#nowMs = nowMs;
  }

  /** Whether this may go wrong now. @param node where it is about one */
  bears(kind: FaultKind, node: string): boolean {
    const nowMs = this.#nowMs();
    this.#all = this.#all.filter(({ untilMs }) => untilMs > nowMs);
    const gone = this.#all.filter((one) => GONE.includes(one.kind)).length;
    if (GONE.includes(kind) && gone >= this.#goneMost) return false;
    return !this.#all.some((one) => bars(one, kind, node));
  }

  /** @returns to be called when it is over */
  begin(kind: FaultKind, node: string): () => void {
    const burden: Burden = { kind, node, untilMs: Number.POSITIVE_INFINITY };
    this.#all.push(burden);
    return () => {
      burden.untilMs = this.#nowMs() + CALM_MS.least; // Sessions get shadows again, etcd a leader.
    };
  }
}

function bars(one: Burden, kind: FaultKind, node: string): boolean {
  const areBoth = (kinds: readonly FaultKind[]) => kinds.includes(one.kind) && kinds.includes(kind);
  if (areBoth(OF_ETCD) || areBoth(OF_STORE)) return true;
  // Who dies out of reach of the others takes sessions along.
  return one.node === node && (one.kind === kind || areBoth(APART));
}
