/** Kubernetes over plain REST paths. Generic on purpose: generated clients drop fields they do not
 * know, and one of them weighs more than this whole folder. */

import { keyText } from "../loop/contract.ts";
import { AppliedMemory } from "./apply.ts";
import type {
  Applied,
  ApplyOptions,
  CallOptions,
  Created,
  Deleted,
  DeleteOptions,
  Key,
  Kube,
  KubeObject,
  PatchOptions,
  Reference,
  Selection,
} from "./contract.ts";
import { keyOf } from "./contract.ts";
import { decodeWatchError, isKubeError, KubeError } from "./errors.ts";
import { pathOf, Resources } from "./resources.ts";
import type { Rest, RestCall } from "./rest.ts";

const PAGE_OBJECTS_MAX = 250;
const PAGES_MAX = 1_000;

export interface KubeOptions {
  readonly fieldManager: string;
  /** Asked before every write; false refuses it with reason NotLeading. Fences a deposed leader. */
  readonly mayWrite?: () => boolean;
}

/** One page of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  /** Asks for the next page; absent on the last. */
  readonly continueToken?: string;
}

export type WatchEvent<T> =
  | { readonly kind: "changed" | "deleted"; readonly object: T }
  | { readonly kind: "bookmark"; readonly resourceVersion: string };

export interface WatchOptions {
  readonly resourceVersion: string;
  /** When the server is to end the watch. */
  readonly timeoutSeconds: number;
  /** Longest silence; bookmarks come about every minute. */
  readonly idleMs: number;
  readonly signal: AbortSignal;
  /** Called when the server accepted the watch, before any event. */
  readonly onOpen?: () => void;
}

/** What an informer needs. */
export interface Source {
  page<T extends KubeObject>(
    apiVersion: string,
    kind: string,
    options: Selection & CallOptions & { readonly continueToken?: string | undefined },
  ): Promise<Page<T>>;
  watch<T extends KubeObject>(
    apiVersion: string,
    kind: string,
    selection: Selection,
    options: WatchOptions,
  ): AsyncIterable<WatchEvent<T>>;
}

type Verb = "get" | "list" | "watch" | "apply" | "patch" | "create" | "replace" | "delete";

interface RawList<T> {
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items: readonly T[] | null;
}

export class KubeClient implements Kube, Source {
  readonly #rest: Rest;
  readonly #resources: Resources;
  readonly #options: KubeOptions;
  readonly #memory = new AppliedMemory();

  constructor(rest: Rest, options: KubeOptions) {
    this.#rest = rest;
    this.#resources = new Resources(rest);
    this.#options = options;
  }

  async get<T extends KubeObject>(
    apiVersion: string,
    kind: string,
    key: Key,
    options: CallOptions = {},
  ): Promise<T | undefined> {
    const reference = { apiVersion, kind, metadata: { name: key.name, namespace: key.namespace } };
    try {
      return await this.#call<T>("get", reference, { method: "GET" }, options);
    } catch (error) {
      if (isKubeError(error, "NotFound")) return undefined;
      throw error;
    }
  }

  async list<T extends KubeObject>(
    apiVersion: string,
    kind: string,
    options: Selection & CallOptions = {},
  ): Promise<readonly T[]> {
    return (await listAll<T>(this, apiVersion, kind, options)).items;
  }

  async page<T extends KubeObject>(
    apiVersion: string,
    kind: string,
    options: Selection & CallOptions & { readonly continueToken?: string | undefined },
  ): Promise<Page<T>> {
    const resource = await this.#resources.find(apiVersion, kind, options.signal);
    const list = await this.#send<RawList<T>>(apiVersion, {
      method: "GET",
      path: pathOf(apiVersion, resource, { namespace: options.namespace ?? "" }),
      query: {
        ...selectors(options),
        limit: String(PAGE_OBJECTS_MAX),
        continue: options.continueToken,
      },
      verb: "list",
      kind,
      signal: options.signal,
    });
    const { resourceVersion = "", continue: continueToken } = list.metadata;
    // Items of a list come without the two fields that say what they are.
    const items = (list.items ?? []).map((item) => complete({ ...item, apiVersion, kind }));
    return continueToken ? { items, resourceVersion, continueToken } : { items, resourceVersion };
  }

  async *watch<T extends KubeObject>(
    apiVersion: string,
    kind: string,
    selection: Selection,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>, void, void> {
    const resource = await this.#resources.find(apiVersion, kind, options.signal);
    const call: RestCall = {
      method: "GET",
      path: pathOf(apiVersion, resource, { namespace: selection.namespace ?? "" }),
      query: {
        ...selectors(selection),
        watch: "1",
        allowWatchBookmarks: "true",
        resourceVersion: options.resourceVersion,
        timeoutSeconds: String(options.timeoutSeconds),
      },
      verb: "watch",
      kind,
      signal: options.signal,
    };
    try {
      for await (const line of this.#rest.lines(call, options.idleMs, options.onOpen)) {
        yield decodeEvent<T>(line, kind);
      }
    } catch (error) {
      if (isKubeError(error, "KindNotServed")) this.#resources.forget(apiVersion);
      throw error;
    }
  }

  apply<T extends KubeObject>(object: T, options: ApplyOptions = {}): Promise<Applied<T>> {
    return this.#apply(object, undefined, options);
  }

  applyStatus<T extends KubeObject>(object: T, options: ApplyOptions = {}): Promise<Applied<T>> {
    const { apiVersion, kind, metadata, status } = object;
    const { name, namespace } = metadata;
    const named = namespace === undefined ? { name } : { name, namespace };
    const wish = { apiVersion, kind, metadata: named, status } as unknown as T;
    return this.#apply(wish, "status", options);
  }

  patch<T extends KubeObject>(
    reference: Reference,
    mergePatch: Readonly<Record<string, unknown>>,
    options: PatchOptions = {},
  ): Promise<T> {
    const contentType = "application/merge-patch+json";
    const call = { method: "PATCH", body: mergePatch, contentType } as const;
    return this.#call<T>("patch", reference, call, options, options.subresource);
  }

  async create<T extends KubeObject>(object: T, options: CallOptions = {}): Promise<Created<T>> {
    const { apiVersion, kind, metadata } = object;
    this.#refuseUnlessLeading("create", object);
    const resource = await this.#resources.find(apiVersion, kind, options.signal);
    try {
      const created = await this.#send<T>(apiVersion, {
        method: "POST",
        path: pathOf(apiVersion, resource, { namespace: metadata.namespace ?? "" }),
        body: object,
        verb: "create",
        kind,
        name: keyText(keyOf(object)),
        signal: options.signal,
      });
      return { kind: "created", object: complete(created) };
    } catch (error) {
      if (isKubeError(error, "AlreadyExists")) return { kind: "exists" };
      throw error;
    }
  }

  replace<T extends KubeObject>(object: T, options: CallOptions = {}): Promise<T> {
    return this.#call<T>("replace", object, { method: "PUT", body: object }, options);
  }

  async delete(reference: Reference, options: DeleteOptions = {}): Promise<Deleted> {
    const { uid, resourceVersion, propagation, graceSeconds } = options;
    const body = {
      apiVersion: "v1",
      kind: "DeleteOptions",
      preconditions: { uid, resourceVersion },
      propagationPolicy: propagation,
      gracePeriodSeconds: graceSeconds,
    };
    try {
      await this.#call("delete", reference, { method: "DELETE", body }, options);
      return "deleted";
    } catch (error) {
      if (isKubeError(error, "NotFound")) return "absent";
      if (isKubeError(error, "Conflict")) return "changed";
      throw error;
    }
  }

  async #apply<T extends KubeObject>(
    wish: T,
    subresource: "status" | undefined,
    options: ApplyOptions,
  ): Promise<Applied<T>> {
    const manager = options.fieldManager ?? this.#options.fieldManager;
    const { apiVersion, kind } = wish;
    const id = [manager, subresource, apiVersion, kind, keyText(keyOf(wish))].join(" ");
    if (this.#memory.isLastWish(id, wish)) {
      const live = options.live ?? (await this.get<T>(apiVersion, kind, keyOf(wish), options));
      if (live !== undefined && this.#memory.holds(id, wish, live)) {
        return { object: live as T, written: false };
      }
    }
    const call = {
      method: "PATCH",
      query: { fieldManager: manager, force: "true" },
      body: wish,
      // JSON is YAML, and servers before 1.32 know no other name for it.
      contentType: "application/apply-patch+yaml",
    } as const;
    const object = await this.#call<T>("apply", wish, call, options, subresource);
    this.#memory.remember(id, wish, object);
    return { object, written: true };
  }

  /** A request about one object. */
  async #call<T>(
    verb: Verb,
    reference: Reference,
    call: Pick<RestCall, "method" | "query" | "body" | "contentType">,
    options: CallOptions,
    subresource?: string,
  ): Promise<T> {
    const { apiVersion, kind } = reference;
    if (verb !== "get") this.#refuseUnlessLeading(verb, reference);
    const key = keyOf(reference);
    const resource = await this.#resources.find(apiVersion, kind, options.signal);
    const object = await this.#send<T>(apiVersion, {
      ...call,
      path: pathOf(apiVersion, resource, key, subresource),
      verb,
      kind,
      name: keyText(key),
      signal: options.signal,
    });
    return complete(object);
  }

  async #send<T>(apiVersion: string, call: RestCall): Promise<T> {
    try {
      return await this.#rest.json<T>(call);
    } catch (error) {
      if (isKubeError(error, "KindNotServed")) this.#resources.forget(apiVersion);
      throw error;
    }
  }

  #refuseUnlessLeading(verb: Verb, reference: Reference): void {
    if (this.#options.mayWrite?.() ?? true) return;
    const { kind } = reference;
    const message = `Cannot ${verb} ${kind} ${keyText(keyOf(reference))}: another operator leads`;
    throw new KubeError(message, { status: 0, reason: "NotLeading" });
  }
}

/** All pages, as one list. */
export async function listAll<T extends KubeObject>(
  source: Source,
  apiVersion: string,
  kind: string,
  options: Selection & CallOptions,
): Promise<Page<T>> {
  const items: T[] = [];
  let continueToken: string | undefined;
  for (let pages = 0; pages < PAGES_MAX; pages += 1) {
    const page: Page<T> = await source.page<T>(apiVersion, kind, { ...options, continueToken });
    items.push(...page.items);
    if (page.continueToken === undefined) return { items, resourceVersion: page.resourceVersion };
    continueToken = page.continueToken;
  }
  const message = `Cannot list ${kind}: more than ${PAGES_MAX * PAGE_OBJECTS_MAX} objects`;
  throw new KubeError(message, { status: 0, reason: "BadAnswer" });
}

function selectors({
  labelSelector,
  fieldSelector,
}: Selection): Record<string, string | undefined> {
  return { labelSelector, fieldSelector };
}

/** Drops the record of field owners: nobody here reads it, and it is half of many an object. */
function complete<T>(object: T): T {
  const { metadata } = object as { metadata?: { managedFields?: unknown } };
  if (metadata !== undefined) delete metadata.managedFields;
  return object;
}

function decodeEvent<T extends KubeObject>(line: unknown, kind: string): WatchEvent<T> {
  const { type, object } = line as { type?: string; object?: T };
  if (type === "ERROR" || object?.metadata === undefined)
    throw decodeWatchError(`watch ${kind}`, object);
  if (type === "BOOKMARK") {
    return { kind: "bookmark", resourceVersion: object.metadata.resourceVersion ?? "" };
  }
  return { kind: type === "DELETED" ? "deleted" : "changed", object: complete(object) };
}
