/** The loop that brings keys to their wish. It knows no kind, and nothing of Kubernetes but that
 * objects have names, versions and identities. */

/** Names an object inside one kind. `namespace` is "" for cluster-scoped kinds. */
export interface Key {
  readonly namespace: string;
  readonly name: string;
}

/** "namespace/name": one string per key, for queues and maps. */
export function keyText(key: Key): string {
  return `${key.namespace}/${key.name}`;
}

/** The reverse of keyText. */
export function parseKey(text: string): Key {
  const slash = text.indexOf("/");
  return { namespace: text.slice(0, Math.max(0, slash)), name: text.slice(slash + 1) };
}

/** Structured logging, the shape of pino: fields first, then one event name. */
export interface Logger {
  debug(fields: object, event: string): void;
  info(fields: object, event: string): void;
  warn(fields: object, event: string): void;
  error(fields: object, event: string): void;
  child(fields: Record<string, unknown>): Logger;
}

export interface Outcome {
  /** Look again after so long, even if nothing changes. Absent: only on change. */
  readonly requeueAfterMs?: number;
}

/** One pass over one key. Never called twice at once for a key. Must stop when the signal fires
 * (shutdown, lost lease, deadline). Throw Temporary to be called again at a chosen time, Terminal
 * to be called again only on change; anything else thrown is retried with backoff, and not before
 * its `retryAfterSeconds`, if it has such a field. */
export type Reconcile = (key: Key, signal: AbortSignal) => Promise<Outcome>;

/** Not now: try again after so long. Not counted as a failure of the code. */
export class Temporary extends Error {
  override readonly name = "Temporary";
  readonly code = "temporary";
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number, options?: ErrorOptions) {
    super(message, options);
    this.retryAfterMs = retryAfterMs;
  }
}

/** Never by itself: only a change of the object can help. */
export class Terminal extends Error {
  override readonly name = "Terminal";
  readonly code = "terminal";
}

export interface Controller {
  /** Asks for a pass soon. Any number of asks before it starts are one. */
  enqueue(key: Key): void;
  /** Asks for a pass at the latest after so long. */
  enqueueAfter(key: Key, delayMs: number): void;
  start(): void;
  /** Fires the signals of running passes and resolves when they ended. */
  stop(): Promise<void>;
}

/** What expectations look at of an object; every KubeObject is one. */
export interface Tracked {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly deletionTimestamp?: string;
  };
}

/** Where they look; every Store is one. */
export interface View {
  get(key: Key): Tracked | undefined;
  /** Up to which version all changes are in the view. */
  readonly resourceVersion: string;
}

/** What was written but maybe not yet seen in the informers. */
export interface Expectations {
  /** Call with what the server answered to a create, apply or patch. */
  wrote(owner: Key, object: Tracked): void;
  /** Call with the object, as last seen, whose delete was accepted. */
  deleted(owner: Key, object: Tracked): void;
  /** True when the informers show all of it (or the wait was given up): destructive steps may go
   * on. */
  areMet(owner: Key): boolean;
  /** Forgets an owner that is gone. */
  forget(owner: Key): void;
}
