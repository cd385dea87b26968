/**
 * Nodes whose address refuses connections: their process is gone, and it need not be waited for until
 * their lease lapses. Where others see the same the lease is revoked, so that all learn it from etcd as
 * ever. A node that stands still or is cut off refuses nothing. Who is there nevertheless loses its
 * lease, which it may do at any time, and only once.
 */
import { LRUCache } from "lru-cache";
import type { Clock } from "../base/clock.ts";
import { pause } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { AskOwnRoutes } from "./members.ts";

export interface RefusalParts {
  readonly ask: AskOwnRoutes;
  /** Asks another node whether it is refused, too. Rejects when it does not say. */
  readonly isRefused: (via: string, node: string) => Promise<boolean>;
  /** Nodes that have a lease. */
  readonly nodes: () => Iterable<string>;
  /** Takes the lease from that node. */
  readonly revoke: (node: string) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** It is tried once more after so long. */
const AGAIN_MS = 250;
/** Others that are asked. */
const ASKED_MAX = 4;
const JUDGED_MAX = 1_000;

export class Refusals {
  readonly #parts: RefusalParts;
  readonly #looking = new Set<string>();
  readonly #judged = new LRUCache<string, true>({ max: JUDGED_MAX });

  constructor(parts: RefusalParts) {
    this.#parts = parts;
  }

  /** A connection to that node was refused. Never rejects. */
  async seen(node: string): Promise<void> {
    const { revoke, log } = this.#parts;
    if (this.#looking.has(node) || this.#judged.has(node)) return;
    this.#looking.add(node);
    try {
      if (!(await this.#isGone(node))) return;
      log.warn({ peer: node }, "a node refuses connections: its lease is revoked");
      await revoke(node);
      this.#judged.set(node, true);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.warn({ peer: node, reason }, "cannot revoke the lease of a node");
    } finally {
      this.#looking.delete(node);
    }
  }

  /** Others must see it, and none the contrary: alone this node may be the one that is wrong. */
  async #isGone(node: string): Promise<boolean> {
    const { ask, isRefused, nodes, clock } = this.#parts;
    await pause(clock, AGAIN_MS);
    if ((await ask(node, "").catch(() => undefined)) !== "refused") return false;
    const others = [...nodes()].filter((other) => other !== node).slice(0, ASKED_MAX);
    const answers = await Promise.all(
      others.map((other) => isRefused(other, node).catch(() => undefined)),
    );
    return answers.includes(true) && !answers.includes(false);
  }
}
