/** XEP-0357, 5: where a user's notifications go, as the clients asked for it. */

import { detachedBytes } from "../../xml/detached.ts";
import type { Element } from "../../xml/element.ts";
import { parseElement } from "../../xml/parser.ts";
import type { Host } from "../contract.ts";

/** One node of a push service. */
export interface Target {
  /** Its address, prepared. */
  readonly service: string;
  /** "" for a service with one node for each user. */
  readonly node: string;
}

export interface PushRegistration extends Target {
  /** Sent along with what is published; undefined when the client gave none. */
  readonly options: Element | undefined;
}

/** Names a target in the store; no address has a line feed in it. */
export const keyOf = ({ service, node }: Target): string => `${service}\n${node}`;

const NONE = Buffer.alloc(0);

export class Registrations {
  readonly #documents: Host["documents"];

  constructor(documents: Host["documents"]) {
    this.#documents = documents;
  }

  /** @throws Unavailable, as the others do */
  async list(user: string): Promise<readonly PushRegistration[]> {
    const kept = await this.#documents.list(user, "push");
    return kept.map(({ key, value }) => {
      const [service = "", node = ""] = key.split("\n", 2);
      return { service, node, options: value.length === 0 ? undefined : parseElement(value) };
    });
  }

  async add(user: string, { options, ...target }: PushRegistration): Promise<void> {
    const value = options === undefined ? NONE : detachedBytes(options);
    await this.#documents.change(user, "push", new Map([[keyOf(target), value]]));
  }

  async remove(user: string, targets: readonly Target[]): Promise<void> {
    if (targets.length === 0) return;
    const changes = new Map(targets.map((one) => [keyOf(one), undefined] as const));
    await this.#documents.change(user, "push", changes);
  }
}
