/** Remembers what was applied, so that a wish that already holds causes no write. Server-side apply
 * answers with the object as the server made it; of that, only the fields of the wish are kept, as
 * a digest. While the wish is the same and these fields read the same, there is nothing to send.
 * This bears defaults ("1000m" became "1"), status changes and other writers' fields, and still
 * sees a field of ours that somebody edited. */
import { createHash } from "node:crypto";
import type { KubeObject } from "./contract.ts";

interface Remembered {
  readonly wish: string;
  readonly uid: string | undefined;
  readonly outcome: string;
}

export class AppliedMemory {
  readonly #entries = new Map<string, Remembered>();
  readonly #entriesMax: number;

  /** The oldest entry goes when there are too many; that costs one needless apply. */
  constructor(entriesMax = 10_000) {
    this.#entriesMax = entriesMax;
  }

  /** True if this very wish was the last one applied under the id. */
  isLastWish(id: string, wish: KubeObject): boolean {
    return this.#entries.get(id)?.wish === digest(wish);
  }

  /** True if the live object still is what the server made of the wish. */
  holds(id: string, wish: KubeObject, live: KubeObject): boolean {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.wish !== digest(wish)) return false;
    return entry.uid === live.metadata.uid && entry.outcome === digest(project(live, wish));
  }

  remember(id: string, wish: KubeObject, answer: KubeObject): void {
    this.#entries.delete(id);
    this.#entries.set(id, {
      wish: digest(wish),
      uid: answer.metadata.uid,
      outcome: digest(project(answer, wish)),
    });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#entriesMax) break;
      this.#entries.delete(oldest);
    }
  }
}

/** The part of `live` that `wish` speaks of. Lists of another length are taken whole: their
 * elements can not be matched without knowing their keys, and a difference only costs one apply. */
export function project(live: unknown, wish: unknown): unknown {
  if (Array.isArray(wish)) {
    if (!Array.isArray(live) || live.length !== wish.length) return live;
    return wish.map((element, index) => project(live[index], element));
  }
  if (!isRecord(wish) || !isRecord(live)) return live;
  const part: Record<string, unknown> = {};
  for (const name of Object.keys(wish)) part[name] = project(live[name], wish[name]);
  return part;
}

/** Equal for values that are equal as JSON, whatever the order of their fields. */
export function digest(value: unknown): string {
  return createHash("sha256").update(canonical(value)).digest("base64");
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (!isRecord(value)) return JSON.stringify(value) ?? "null";
  const names = Object.keys(value).filter((name) => value[name] !== undefined);
  const fields = names.sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${fields.join(",")}}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
