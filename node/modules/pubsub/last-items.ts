/**
 * Last published items for sessions that come online, or say that they want more than before
 * (XEP-0163, 4.3.4): one read for each owner whose presence the user sees, a few at a time. The node
 * of the session does it; nobody else is asked.
 */
import type { Logger } from "../../base/log.ts";
import { withDelay } from "../../stanza/delay.ts";
import { fromElement } from "../../stanza/envelope.ts";
import { Jid } from "../../stanza/jid.ts";
import { CLIENT_NS } from "../../stanza/reply.ts";
import type { PubsubNodeWithLast, RosterItem, Rosters } from "../../stores/contract.ts";
import { el } from "../../xml/element.ts";
import type { BlockingService, ClientSession, RouterServices } from "../contract.ts";
import { itemEvent } from "./events.ts";
import type { Service } from "./node.ts";
import { decodeNode } from "./node.ts";
import { mayHear } from "./personal.ts";

interface Task {
  readonly session: ClientSession;
  readonly owner: string;
  /** The nodes whose events the session wants. */
  readonly names: readonly string[];
}

export interface LastItemsParts {
  readonly service: Service;
  readonly rosters: Pick<Rosters, "item">;
  readonly blocking: Pick<BlockingService, "blocks">;
  readonly router: Pick<RouterServices, "nowMs">;
  readonly log: Logger;
  readonly counts: Record<"lastItemReads" | "lastItemsShed", number>;
}

export interface LastItemsLimits {
  readonly readsAtOnce: number;
  readonly waitingMax: number;
}

export class LastItems {
  readonly #parts: LastItemsParts;
  readonly #limits: LastItemsLimits;
  #waiting: Task[] = [];
  /** Tasks under way or waiting, by session, and the events that overtook them. */
  readonly #pending = new Map<ClientSession, { count: number; readonly heard: Set<string> }>();
  #running = 0;

  constructor(parts: LastItemsParts, limits: LastItemsLimits) {
    this.#parts = parts;
    this.#limits = limits;
  }

  /** Sends the last items of each owner's nodes to the session, as far as it may have them. */
  send(session: ClientSession, owners: Iterable<string>, names: readonly string[]): void {
    if (names.length === 0) return;
    for (const owner of owners) {
      if (this.#waiting.length >= this.#limits.waitingMax) {
        this.#parts.counts.lastItemsShed += 1;
        continue;
      }
      const pending = this.#pending.get(session) ?? { count: 0, heard: new Set() };
      pending.count += 1;
      this.#pending.set(session, pending);
      this.#waiting.push({ session, owner, names });
    }
    this.#run();
  }

  /** The session is told of an event now: an older item must not follow it. */
  heard(session: ClientSession, owner: string, name: string): void {
    this.#pending.get(session)?.heard.add(`${owner} ${name}`);
  }

  #run(): void {
    while (this.#running < this.#limits.readsAtOnce) {
      const task = this.#waiting.shift();
      if (task === undefined) return;
      this.#running += 1;
      void this.#do(task).finally(() => {
        this.#running -= 1;
        this.#done(task);
        this.#run();
      });
    }
  }

  #done({ session }: Task): void {
    const pending = this.#pending.get(session);
    if (pending === undefined) return;
    pending.count -= 1;
    if (pending.count === 0) this.#pending.delete(session);
  }

  async #do(task: Task): Promise<void> {
    const { session, owner, names } = task;
    const { service, blocking, log, counts } = this.#parts;
    if (!session.route.available) return;
    try {
      counts.lastItemReads += 1;
      const nodes = await service.store.read(owner, names);
      const wanted = nodes.filter(({ last }) => last !== undefined);
      if (wanted.length === 0 || (await blocking.blocks(owner, session.jid))) return;
      const contact = await this.#contactOf(task, wanted);
      for (const stored of wanted) this.#give(task, stored, contact);
    } catch (error) {
      // The client can still ask for them, and hears of the next ones.
      log.warn({ err: error }, "cannot send last items");
    }
  }

  /**
   * What the owner has the session's user down as. The user's own roster said that they see the
   * owner's presence; only groups have to be looked up.
   */
  async #contactOf(
    { session, owner }: Task,
    wanted: readonly PubsubNodeWithLast[],
  ): Promise<RosterItem> {
    const { bare } = session.jid;
    const { service, rosters } = this.#parts;
    const needsGroups = wanted.some(
      (stored) => decodeNode(service, owner, stored).config.accessModel === "roster",
    );
    const item = needsGroups && owner !== bare ? await rosters.item(owner, bare) : undefined;
    return { ...NO_ITEM, contact: bare, from: true, groups: item?.groups ?? [] };
  }

  #give({ session, owner }: Task, stored: PubsubNodeWithLast, contact: RosterItem): void {
    const node = decodeNode(this.#parts.service, owner, stored);
    const { last } = stored;
    if (last === undefined || node.config.sendLast !== "on_sub_and_presence") return;
    if (!node.config.deliverNotifications || !mayHear(node, contact.contact, contact)) return;
    if (this.#pending.get(session)?.heard.has(`${owner} ${node.name}`) === true) return;
    const attributes = { xmlns: CLIENT_NS, type: "headline", from: owner, to: session.jid.full };
    const message = fromElement(
      el("message", attributes, itemEvent(node, last)),
      this.#parts.router.nowMs(),
    );
    session.send(withDelay(message.bytes, Jid.prepared(owner), last.publishedUs / 1_000));
  }
}

const NO_ITEM: Omit<RosterItem, "contact"> = {
  name: "",
  groups: [],
  to: false,
  from: false,
  ask: false,
  pendingIn: undefined,
  approved: false,
  listed: false,
};
