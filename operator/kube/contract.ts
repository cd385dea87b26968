/** What the rest of the operator may ask of Kubernetes. No kind is known here: every object is
 * a plain JSON object, unknown fields are kept, and nothing is ever read, changed and written
 * back. */

import type { Key } from "../loop/contract.ts";

export type { Key };

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
  /** RFC 3339, whole seconds. */
  readonly creationTimestamp?: string;
  /** Set once deletion was asked for; the object stays until its grace and finalizers end. */
  readonly deletionTimestamp?: string;
}

/** Any object. A kind with its own shape extends this. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly spec?: unknown;
  readonly status?: unknown;
  readonly data?: unknown;
}

/** Names one object of any kind; every KubeObject is one. */
export interface Reference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** Narrows a list or a watch; selectors are in Kubernetes' own text form. */
export interface Selection {
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface CallOptions {
  /** Ends the wait early. A deadline holds with or without it. */
  readonly signal?: AbortSignal;
}

export interface ApplyOptions extends CallOptions {
  /** Owner name of the fields; absent: the one the client was made with. */
  readonly fieldManager?: string;
  /** The informer's copy. Absent: the client asks the server, if it thinks it can skip the
   * write. */
  readonly live?: KubeObject | undefined;
}

export interface Applied<T> {
  /** As the server has it now. */
  readonly object: T;
  /** False when the write was skipped because nothing would change. */
  readonly written: boolean;
}

export type Created<T> =
  | { readonly kind: "created"; readonly object: T }
  /** Somebody, maybe we ourselves before a restart, made one of that name already. */
  | { readonly kind: "exists" };

export interface DeleteOptions extends CallOptions {
  /** Preconditions: delete only this very object, or only this version of it. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  /** Absent: the kind's default. */
  readonly propagation?: "Background" | "Foreground" | "Orphan";
  readonly graceSeconds?: number;
}

/** "changed": a precondition did not hold, nothing was deleted. */
export type Deleted = "deleted" | "absent" | "changed";

export interface PatchOptions extends CallOptions {
  readonly subresource?: "status" | "scale";
}

/** Every call throws KubeError (errors.ts) unless said otherwise, and ends within a deadline. */
export interface Kube {
  /** Undefined when there is none. */
  get<T extends KubeObject>(
    apiVersion: string,
    kind: string,
    key: Key,
    options?: CallOptions,
  ): Promise<T | undefined>;

  /** All objects of a kind, read in pages; not from any cache of ours. */
  list<T extends KubeObject>(
    apiVersion: string,
    kind: string,
    selection?: Selection & CallOptions,
  ): Promise<readonly T[]>;

  /** Server-side apply, forced. Give only the fields the operator wants to own: a field left out
   * that it owned before is removed, fields of others stay. No request that writes is sent when the
   * wish is the one last applied and none of its fields differs in the live object from what the
   * server made of it then; so status changes and other writers' fields cause no write. Fields the
   * server never shows, as a Secret's `stringData`, can not be watched over so: give `data`. */
  apply<T extends KubeObject>(object: T, options?: ApplyOptions): Promise<Applied<T>>;

  /** The same for the status subresource: only `status` is sent. */
  applyStatus<T extends KubeObject>(object: T, options?: ApplyOptions): Promise<Applied<T>>;

  /** JSON merge patch (RFC 7386): null removes a field. Put `metadata.resourceVersion` or
   * `metadata.uid` into the patch to make it conditional (then 409 is thrown as KubeError). */
  patch<T extends KubeObject>(
    reference: Reference,
    mergePatch: Readonly<Record<string, unknown>>,
    options?: PatchOptions,
  ): Promise<T>;

  create<T extends KubeObject>(object: T, options?: CallOptions): Promise<Created<T>>;

  /** Replaces the whole object; `metadata.resourceVersion` guards it (409 Conflict as
   * KubeError). */
  replace<T extends KubeObject>(object: T, options?: CallOptions): Promise<T>;

  delete(reference: Reference, options?: DeleteOptions): Promise<Deleted>;
}

/** A kind's objects as last seen, read without any request. Objects are shared: never change
 * one. */
export interface Store<T extends KubeObject = KubeObject> {
  get(key: Key): T | undefined;
  list(): readonly T[];
  /** The version of the collection up to which all changes are in the store; "" before the first
   * list. */
  readonly resourceVersion: string;
}

/** Keeps a store true. Never gives up: every failure ends in a new watch or a new list. */
export interface Informer<T extends KubeObject = KubeObject> extends Store<T> {
  readonly apiVersion: string;
  readonly kind: string;
  /** Resolves when the first list is in the store. Rejects on stop or when the signal fires. */
  synced(signal?: AbortSignal): Promise<void>;
  readonly isSynced: boolean;
  /** Monotonic milliseconds when the store was last known to be true: list, event or bookmark. */
  readonly lastSyncMs: number | undefined;
  /** Called with the key of whatever was added, changed or deleted, deletes seen by a relist too; a
   * delete and recreate between two looks calls twice. Listeners only enqueue. Returns the undo. */
  onChange(listener: (key: Key) => void): () => void;
  start(): void;
  /** Afterwards no request is made and no listener is called. */
  stop(): void;
}

export type EventType = "Normal" | "Warning";

export interface EventRecord {
  /** What the event is about; its uid and namespace are used. */
  readonly regarding: KubeObject;
  readonly type: EventType;
  /** CamelCase, short, stable: why. At most 128 characters. */
  readonly reason: string;
  /** CamelCase: what the operator did or tried. At most 128 characters. */
  readonly action: string;
  /** One sentence for people; cut at 1024 characters. */
  readonly note: string;
}

export interface EventRecorder {
  /** Never throws and never waits; repeats are counted, floods are dropped and counted. */
  record(event: EventRecord): void;
}

/** The key of an object or a reference. */
export function keyOf(reference: Reference): Key {
  return { namespace: reference.metadata.namespace ?? "", name: reference.metadata.name };
}
