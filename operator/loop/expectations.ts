/** Read-your-writes over informers that lag. After a create or a delete the informers may still
 * show the past, and a decision made on it would disrupt twice. So each write is noted under its
 * owner key, and destructive steps wait until the informers show it. */

import type { Clock } from "./clock.ts";
import type { Expectations, Key, Logger, Tracked, View } from "./contract.ts";
import { keyText } from "./contract.ts";
import { compareVersions } from "./versions.ts";

interface Expected {
  readonly kind: "written" | "deleted";
  readonly object: Tracked;
  readonly sinceMs: number;
}

export interface ExpectationsOptions {
  /** The informer that shows a kind; undefined when none does: then nothing is awaited. */
  readonly storeOf: (apiVersion: string, kind: string) => View | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  /** After so long a wait is given up, with a warning. Default 60,000. */
  readonly timeoutMs?: number;
}

export function createExpectations(options: ExpectationsOptions): Expectations {
  return new StoreExpectations(options);
}

class StoreExpectations implements Expectations {
  readonly #options: ExpectationsOptions;
  /** By owner, then by what is expected: a newer write of the same object replaces the older. */
  readonly #expected = new Map<string, Map<string, Expected>>();

  constructor(options: ExpectationsOptions) {
    this.#options = options;
  }

  wrote(owner: Key, object: Tracked): void {
    this.#expect(owner, "written", object);
  }

  deleted(owner: Key, object: Tracked): void {
    this.#expect(owner, "deleted", object);
  }

  areMet(owner: Key): boolean {
    const ownerText = keyText(owner);
    const all = this.#expected.get(ownerText);
    if (all === undefined) return true;
    for (const [id, expected] of all) {
      if (this.#isSeen(expected) || this.#isOverdue(ownerText, expected)) all.delete(id);
    }
    if (all.size > 0) return false;
    this.#expected.delete(ownerText);
    return true;
  }

  forget(owner: Key): void {
    this.#expected.delete(keyText(owner));
  }

  #expect(owner: Key, kind: Expected["kind"], object: Tracked): void {
    const expected = { kind, object, sinceMs: this.#options.clock.monotonicMs() };
    if (this.#isSeen(expected)) return;
    const ownerText = keyText(owner);
    const all = this.#expected.get(ownerText) ?? new Map<string, Expected>();
    all.set(`${object.apiVersion} ${object.kind} ${keyText(keyOf(object))}`, expected);
    this.#expected.set(ownerText, all);
  }

  #isSeen({ kind, object }: Expected): boolean {
    const store = this.#options.storeOf(object.apiVersion, object.kind);
    if (store === undefined) return true;
    const { uid, resourceVersion = "" } = object.metadata;
    if (kind === "deleted") {
      // Gone or on its way; a namesake with another uid is another object.
      const seen = store.get(keyOf(object))?.metadata;
      return seen?.uid !== uid || seen?.deletionTimestamp !== undefined;
    }
    // Not by looking at the object: it may be gone again.
    return (compareVersions(store.resourceVersion, resourceVersion) ?? -1) >= 0;
  }

  #isOverdue(owner: string, expected: Expected): boolean {
    const waitedMs = this.#options.clock.monotonicMs() - expected.sinceMs;
    if (waitedMs < (this.#options.timeoutMs ?? 60_000)) return false;
    const { kind, metadata } = expected.object;
    const object = `${kind} ${metadata.name}`;
    this.#options.log.warn({ owner, object, waitedMs }, "expectations.timeout");
    return true;
  }
}

function keyOf({ metadata }: Tracked): Key {
  return { namespace: metadata.namespace ?? "", name: metadata.name };
}
