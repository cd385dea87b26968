/** From a kind to its path: the API server is asked once per group version which kinds it serves
 * under which plural. Only answers are kept; a kind that is not served yet is asked for again. */

import { unlessAborted } from "../loop/clock.ts";
import { KubeError } from "./errors.ts";
import type { Rest } from "./rest.ts";

export interface Resource {
  readonly plural: string;
  readonly namespaced: boolean;
}

interface ResourceList {
  readonly resources: readonly { name: string; kind: string; namespaced: boolean }[];
}

export class Resources {
  readonly #rest: Rest;
  /** By group version, then by kind; bounded by what the operator's own code asks for. */
  readonly #known = new Map<string, Promise<ReadonlyMap<string, Resource>>>();

  constructor(rest: Rest) {
    this.#rest = rest;
  }

  /** Throws KubeError KindNotServed when the server knows no such kind, as before its CRD is
   * there. */
  async find(apiVersion: string, kind: string, signal?: AbortSignal): Promise<Resource> {
    const known = this.#known.get(apiVersion) ?? this.#ask(apiVersion);
    try {
      const resource = (await unlessAborted(known, signal)).get(kind);
      if (resource !== undefined) return resource;
    } catch (cause) {
      if (cause instanceof KubeError) throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      const fields = { status: 0, reason: "Aborted", cause };
      throw new KubeError(`Cannot discover ${apiVersion}: ${why}`, fields);
    }
    this.forget(apiVersion);
    throw new KubeError(`Cannot use ${kind} of ${apiVersion}: the API server does not serve it`, {
      status: 404,
      reason: "KindNotServed",
    });
  }

  /** A path was refused: ask again next time. */
  forget(apiVersion: string): void {
    this.#known.delete(apiVersion);
  }

  /** Shared by all who wait meanwhile, so no caller's signal may end it. A failure is not kept. */
  #ask(apiVersion: string): Promise<ReadonlyMap<string, Resource>> {
    const answer = this.#read(apiVersion);
    this.#known.set(apiVersion, answer);
    answer.catch(() => this.forget(apiVersion));
    return answer;
  }

  async #read(apiVersion: string): Promise<ReadonlyMap<string, Resource>> {
    const path = root(apiVersion);
    const list = await this.#rest.json<ResourceList>({
      method: "GET",
      path,
      verb: "discover",
      kind: apiVersion,
    });
    const resources = new Map<string, Resource>();
    for (const { name, kind, namespaced } of list.resources) {
      if (!name.includes("/")) resources.set(kind, { plural: name, namespaced });
    }
    return resources;
  }
}

/** Path of a collection, or of one object, or of one of its subresources. */
export function pathOf(
  apiVersion: string,
  { plural, namespaced }: Resource,
  key: { readonly namespace: string; readonly name?: string },
  subresource?: string,
): string {
  const inNamespace = namespaced && key.namespace !== "" ? ["namespaces", key.namespace] : [];
  const tail = [...inNamespace, plural, key.name, subresource].filter((part) => part !== undefined);
  return `${root(apiVersion)}/${tail.map(encodeURIComponent).join("/")}`;
}

function root(apiVersion: string): string {
  return apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}
