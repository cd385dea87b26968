/**
 * XEP-0163: every account is a service of its own, owned by its user. Contacts who see the user's
 * presence are subscribed without asking, and hear of what their clients say they want (+notify).
 * Who may hear is decided here, once; which of their clients want to, where these are connected.
 */
import { randomId } from "../../base/random.ts";
import { newTemplate } from "../../router/envelopes.ts";
import { fromElement } from "../../stanza/envelope.ts";
import { Jid } from "../../stanza/jid.ts";
import { CLIENT_NS } from "../../stanza/reply.ts";
import type { PublishedItem, RosterItem } from "../../stores/contract.ts";
import type { Element } from "../../xml/element.ts";
import { el } from "../../xml/element.ts";
import { parseElement } from "../../xml/parser.ts";
import type { BlockingService, Host, PepItem, PepService } from "../contract.ts";
import { readingRefusal } from "./access.ts";
import type { NodeConfig } from "./config.ts";
import { SHIM } from "./names.ts";
import type { Addressee, Change, Found, Limits, Node, Owners, Relation } from "./node.ts";
import { askerOf, bareOf, knownAffiliation } from "./node.ts";

/** Nodes that hold what concerns nobody but the user, also when a client does not say so. */
const PRIVATE_NODES: ReadonlySet<string> = new Set(["storage:bookmarks", "urn:xmpp:bookmarks:1"]);

type Watcher = Parameters<PepService["watch"]>[1];
interface Watching {
  readonly node: string;
  readonly watcher: Watcher;
}

/** An item as other modules see it. */
export const itemOf = ({ id, payload }: Pick<PublishedItem, "id" | "payload">): PepItem => ({
  id,
  payload: payload.length === 0 ? undefined : parseElement(payload),
});

type PersonalHost = Pick<Host, "rosters" | "router" | "random" | "log" | "sessions"> & {
  readonly blocking: BlockingService;
};

export class Personal implements Owners {
  readonly #host: PersonalHost;
  readonly #limits: Limits;
  readonly #watchers: Watching[] = [];
  readonly #listeners: Watching[] = [];

  constructor(host: PersonalHost, limits: Limits) {
    this.#host = host;
    this.#limits = limits;
  }

  readonly defaults = (name: string): NodeConfig => ({
    title: "",
    description: "",
    type: "",
    accessModel: PRIVATE_NODES.has(name) ? "whitelist" : "presence",
    publishModel: "publishers",
    rosterGroups: [],
    persistItems: true,
    maxItems: name === "urn:xmpp:bookmarks:1" ? "max" : 1,
    maxPayloadBytes: this.#limits.payloadBytesMax,
    sendLast: PRIVATE_NODES.has(name) ? "never" : "on_sub_and_presence",
    deliverNotifications: true,
    deliverPayloads: true,
    notifyRetract: name === "urn:xmpp:bookmarks:1",
    notifyDelete: name === "urn:xmpp:bookmarks:1",
    notifyConfig: false,
    notificationType: "headline",
    presenceBasedDelivery: true,
  });

  readonly isOwner = (owner: string, bare: string): boolean => owner === bare;

  readonly relation = async (owner: string, bare: string): Promise<Relation> =>
    relationOf(await this.#host.rosters.item(owner, bare));

  watch(node: string, watcher: Watcher): void {
    this.#watchers.push({ node, watcher });
  }

  watchTold(node: string, watcher: Watcher): void {
    this.#listeners.push({ node, watcher });
  }

  readonly changed = async (node: Found, { published, event }: Change): Promise<void> => {
    await this.#pass(this.#watchers, node, published);
    if (event !== undefined) await this.tell(node, event);
    await this.#pass(this.#listeners, node, published);
  };

  async #pass(
    watchers: readonly Watching[],
    { name, owner: user, stored }: Found,
    published: PublishedItem | undefined,
  ): Promise<void> {
    for (const one of watchers) {
      if (one.node !== name) continue;
      try {
        const before = stored.last && itemOf(stored.last);
        await one.watcher({ user, published: published && itemOf(published), before });
      } catch (error) {
        // What was published stands, also where something made of it does not.
        this.#host.log.warn({ err: error, node: name }, "cannot pass on a published item");
      }
    }
  }

  readonly tell = async (node: Node, event: Element): Promise<void> => {
    if (!node.config.deliverNotifications) return;
    const contacts = await this.#contactsFor(node);
    const isBlocked = this.#blockedBy(node.owner);
    const explicit = new Set<string>();
    for (const subscription of node.subscriptions) {
      if (subscription.state !== "subscribed") continue;
      const bare = bareOf(subscription.jid);
      if (isBlocked(bare) || !mayHear(node, bare, contacts.get(bare))) continue;
      if (subscription.jid === bare) explicit.add(bare);
      this.tellOne(node, subscription, event);
    }
    const audience = [...contacts.values()].filter(
      (item) =>
        item.from &&
        !explicit.has(item.contact) &&
        !isBlocked(item.contact) &&
        mayHear(node, item.contact, item),
    );
    const template = newTemplate("message", this.#about(node), event);
    const users = [node.owner, ...audience.map(({ contact }) => contact)];
    void this.#host.router.broadcast(template, users);
  };

  readonly tellOne = (node: Node, { jid, subid }: Addressee, event: Element): void => {
    const { type, id } = this.#about(node);
    // 7.1.2.4: which subscription this is for; it also tells an event that was asked for by name
    // from one that clients are sent only if they want it.
    const headers = el("headers", { xmlns: SHIM }, el("header", { name: "SubID" }, subid));
    const attributes = { xmlns: CLIENT_NS, type, id, from: node.owner, to: jid };
    const { router } = this.#host;
    void router.route(fromElement(el("message", attributes, event, headers), router.nowMs()));
  };

  readonly ask = (node: Node, form: Element): void => {
    const { router, random } = this.#host;
    const addresses = { from: node.owner, to: node.owner };
    const attributes = { xmlns: CLIENT_NS, id: randomId(random, 9), ...addresses };
    void router.route(fromElement(el("message", attributes, form), router.nowMs()));
  };

  /** The roster where it matters: a node that only its owner may read needs none. */
  async #contactsFor(node: Node): Promise<ReadonlyMap<string, RosterItem>> {
    const { accessModel } = node.config;
    const isOwn = accessModel === "whitelist" && node.affiliations.size === 0;
    if (isOwn && node.subscriptions.length === 0) return new Map();
    try {
      const { items } = await this.#host.rosters.load(node.owner);
      return new Map(items.map((item) => [item.contact, item]));
    } catch (error) {
      this.#host.log.warn({ err: error }, "cannot tell contacts of an event");
      return new Map();
    }
  }

  /** XEP-0191: whom the owner has cut off, as a session of the owner's on this node knows. */
  #blockedBy(owner: string): (bare: string) => boolean {
    const [session] = this.#host.sessions().ofUser(owner);
    return (bare) => session !== undefined && this.#host.blocking.isBlocked(session, bare);
  }

  #about({ owner, config }: Node) {
    const { random, router } = this.#host;
    return {
      type: config.presenceBasedDelivery ? "headline" : config.notificationType,
      id: randomId(random, 9),
      from: Jid.prepared(owner),
      receivedMs: router.nowMs(),
    };
  }
}

const relationOf = (item: RosterItem | undefined): Relation => ({
  seesPresence: item?.from === true,
  groups: item?.groups ?? [],
});

/** Whether a user other than the owner may read the node. */
export function mayHear(node: Node, bare: string, item: RosterItem | undefined): boolean {
  if (bare === node.owner) return true;
  const asker = askerOf(knownAffiliation(node, bare), node, bare, relationOf(item));
  return readingRefusal(node.config, asker) === undefined;
}
