/** RFC 6121, section 2: rosters, with versions (2.6, once XEP-0237), pushed to interested resources. */

import { randomId } from "../../base/random.ts";
import { integer } from "../../config/options.ts";
import { newTemplate } from "../../router/envelopes.ts";
import { fromElement } from "../../stanza/envelope.ts";
import { StanzaError } from "../../stanza/error.ts";
import { Jid } from "../../stanza/jid.ts";
import { CLIENT_NS } from "../../stanza/reply.ts";
import type { Roster, RosterItem, RosterPatch } from "../../stores/contract.ts";
import { el } from "../../xml/element.ts";
import { child } from "../../xml/names.ts";
import { escapeAttribute, Written } from "../../xml/write.ts";
import type { ClientSession, Envelope, Host, Request, RosterChange } from "../contract.ts";
import {
  CONSUME,
  carriedFlag,
  defineModule,
  iq,
  MIDDLE,
  PASS,
  service,
  stage,
} from "../contract.ts";
import type { RosterSet } from "./item.ts";
import { itemElement, itemXml, ROSTER_NS, readSet, removedElement } from "./item.ts";

const STATE = "roster";

interface Limits {
  readonly itemsMax: number;
  readonly nameBytesMax: number;
  readonly groupsMax: number;
}

class Rosters {
  readonly #host: Host;
  readonly #limits: Limits;

  constructor(host: Host, limits: Limits) {
    this.#host = host;
    this.#limits = limits;
  }

  load(user: string): Promise<Roster> {
    return this.#host.rosters.load(user);
  }

  async update(user: string, contact: string, patch: RosterPatch): Promise<RosterChange> {
    const version = await this.#host.rosters.update(user, contact, patch);
    return { user, contact, version };
  }

  async push({ user, contact, version }: RosterChange): Promise<void> {
    const { router, random, rosters, log } = this.#host;
    try {
      const item = await rosters.item(user, contact);
      const isShown = item?.listed === true;
      const said = isShown ? itemElement(item) : removedElement(contact);
      const about = {
        type: "set",
        id: `push-${randomId(random, 6)}`,
        from: Jid.prepared(user),
        receivedMs: router.nowMs(),
      };
      const query = el("query", { xmlns: ROSTER_NS, ver: version }, said);
      await router.push(newTemplate("iq", about, query), user);
    } catch (error) {
      // Clients learn the change with the next roster they fetch.
      log.warn({ err: error }, "cannot push roster change");
    }
  }

  readPush = (envelope: Envelope) => {
    const { kind, type, from, to, children } = envelope;
    if (kind !== "iq" || type !== "set" || children[0]?.ns !== ROSTER_NS) return undefined;
    // Clients' own stanzas carry a resource; only the server writes from the bare address.
    if (from.full !== to.bare) return undefined;
    const query = child(envelope.element(), "query", ROSTER_NS);
    const attributes = query && child(query, "item", ROSTER_NS)?.attrs;
    if (attributes === undefined) return undefined;
    return { contact: String(attributes.jid), subscription: String(attributes.subscription) };
  };

  async cancelAll(user: string): Promise<void> {
    const { items } = await this.load(user);
    for (const item of items) this.#cancel(user, item);
  }

  /** 2.5.2: what is left of the subscriptions ends with the item. */
  #cancel(user: string, { contact, to, from, ask, pendingIn }: RosterItem): void {
    const tell = (type: string) => {
      const attributes = { xmlns: CLIENT_NS, type, from: user, to: contact };
      const { router } = this.#host;
      void router.route(fromElement(el("presence", attributes), router.nowMs()));
    };
    if (to || ask) tell("unsubscribe");
    if (from || pendingIn !== undefined) tell("unsubscribed");
  }

  async get({ from, payload, session }: Request) {
    session?.state.set(STATE, true);
    const roster = await this.load(from.bare);
    const known: unknown = payload.attrs.ver;
    const ver = typeof known === "string" ? roster.version : undefined;
    // 2.6.3: an empty result says that the client's copy is the newest.
    if (ver !== undefined && ver !== "" && ver === known) return undefined;
    let listed = "";
    for (const item of roster.items) if (item.listed) listed += itemXml(item);
    const versioned = ver === undefined ? "" : ` ver='${escapeAttribute(ver)}'`;
    return new Written(`<query xmlns='${ROSTER_NS}'${versioned}>${listed}</query>`);
  }

  async set({ from, payload }: Request) {
    const asked = readSet(payload, this.#limits);
    if (asked.contact.bare === from.bare) {
      throw new StanzaError("not-allowed", "Cannot change roster: nobody is their own contact");
    }
    if (asked.kind === "remove") await this.#remove(from.bare, asked.contact.bare);
    else await this.#change(from.bare, asked);
    return undefined;
  }

  async #remove(user: string, contact: string): Promise<void> {
    const { rosters } = this.#host;
    const item = await rosters.item(user, contact);
    if (item?.listed !== true) throw new StanzaError("item-not-found");
    const version = await rosters.remove(user, contact);
    this.#cancel(user, item);
    void this.push({ user, contact, version });
  }

  async #change(user: string, asked: RosterSet & { kind: "update" }): Promise<void> {
    const contact = asked.contact.bare;
    const item = await this.#host.rosters.item(user, contact);
    if (item?.listed !== true) await this.#checkRoom(user);
    const { name, groups } = asked;
    void this.push(await this.update(user, contact, { name, groups, listed: true }));
  }

  async #checkRoom(user: string): Promise<void> {
    const { itemsMax } = this.#limits;
    const { items } = await this.load(user);
    if (items.length < itemsMax) return;
    throw new StanzaError("resource-constraint", `Cannot add contact: ${itemsMax} are the most`);
  }

  /** 2.1.6: only resources that asked for the roster are told of changes and answers. */
  filter(envelope: Envelope, session: ClientSession) {
    const { kind, type } = envelope;
    const isForInterested =
      kind === "presence"
        ? type === "subscribed" || type === "unsubscribe" || type === "unsubscribed"
        : kind === "iq" && this.readPush(envelope) !== undefined;
    if (!isForInterested) return PASS;
    return session.state.has(STATE) ? PASS : CONSUME;
  }
}

export const roster = defineModule({
  name: "roster",
  about: "Contact lists.",
  provides: ["roster"],
  implements: [{ xep: 237, version: "1.3" }],
  options: {
    itemsMax: integer({
      about: "Contacts in one roster, pending requests included.",
      default: 2_000,
      min: 1,
      max: 100_000,
    }),
    nameBytesMax: integer({
      about: "Length of a contact's name and of a group's.",
      default: 1_023,
      min: 16,
      max: 10_000,
    }),
    groupsMax: integer({ about: "Groups of one contact.", default: 50, min: 1, max: 1_000 }),
  },
  setup(host, limits) {
    const rosters = new Rosters(host, limits);
    const refuse = () => {
      throw new StanzaError("forbidden"); // 2.3.3: nobody else's.
    };
    return [
      service("roster", rosters),
      carriedFlag(STATE),
      iq.get("self", ROSTER_NS, "query", (request) => rosters.get(request)),
      iq.set("self", ROSTER_NS, "query", (request) => rosters.set(request)),
      iq.get("another", ROSTER_NS, "query", refuse),
      iq.set("another", ROSTER_NS, "query", refuse),
      stage("delivery", MIDDLE, (envelope, session) => rosters.filter(envelope, session)),
    ];
  },
});
