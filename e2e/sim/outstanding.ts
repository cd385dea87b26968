/** What one process has asked other nodes and is not answered yet: each call ends by its deadline. */

import type { CountedMesh } from "../../node/mesh/mesh.ts";
import { DEFAULT_LIMITS } from "../../node/mesh/settings.ts";
import type { World } from "./world.ts";

/** The mesh looks for calls that are over four times a second. */
const LATE_MS = 500;

interface Call {
  readonly what: string;
  readonly sinceMs: number;
}

export class Outstanding {
  readonly #world: World;
  /** The oldest first. */
  readonly #calls = new Set<Call>();
  /** When the process last went on after a standstill. */
  #wentOnMs = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Counts the calls of that mesh from now on. */
  follow(mesh: CountedMesh): void {
    const ask = mesh.request.bind(mesh);
    mesh.request = (node, kind, payload) => {
      const call = { what: `frame ${kind} to ${node}`, sinceMs: this.#world.nowMs };
      this.#calls.add(call);
      const answer = ask(node, kind, payload);
      const over = () => void this.#calls.delete(call);
      answer.then(over, over);
      return answer;
    };
  }

  goOn(): void {
    this.#wentOnMs = this.#world.nowMs;
  }

  /** What is not over, though it should be. */
  get overdue(): string | undefined {
    const [oldest] = this.#calls;
    if (oldest === undefined) return undefined;
    const forMs = this.#world.nowMs - Math.max(oldest.sinceMs, this.#wentOnMs);
    if (forMs <= DEFAULT_LIMITS.requestMs + LATE_MS) return undefined;
    return `${oldest.what}, since ${oldest.sinceMs} ms`;
  }
}
