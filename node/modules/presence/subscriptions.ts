/** RFC 6121, section 3: subscription stanzas on the sender's and on the recipient's side. */
import { envelopeOf, readdress } from "../../router/envelopes.ts";
import { fromElement } from "../../stanza/envelope.ts";
import { CLIENT_NS } from "../../stanza/reply.ts";
import type { Roster, RosterPatch } from "../../stores/contract.ts";
import { el } from "../../xml/element.ts";
import type { ClientSession, Envelope, Host, RosterService, Verdict } from "../contract.ts";
import { CONSUME, consume, PASS } from "../contract.ts";
import type { Announcer } from "./announce.ts";
import type { FlagChanges, SubscriptionType } from "./subscription.ts";
import { flagsOf, inbound, isVisible, outbound } from "./subscription.ts";

/** A pending request is kept with every login's roster: what is longer is kept without its text. */
const PENDING_BYTES_MAX = 4_096;

export class Subscriptions {
  readonly #host: Host;
  readonly #roster: RosterService;
  readonly #announcer: Pick<Announcer, "hide">;

  constructor(host: Host, roster: RosterService, announcer: Pick<Announcer, "hide">) {
    this.#host = host;
    this.#roster = roster;
    this.#announcer = announcer;
  }

  /** A client of this node sends one. */
  async outbound(
    envelope: Envelope,
    session: ClientSession,
    type: SubscriptionType,
  ): Promise<Verdict> {
    const user = session.jid.toBare();
    const contact = envelope.to.toBare();
    if (contact.full === user.full) return CONSUME; // Everybody sees their own resources.
    const flags = flagsOf(await this.#host.rosters.item(user.bare, contact.bare));
    const { isRouted, changes } = outbound(flags, type);
    const change =
      changes && (await this.#roster.update(user.bare, contact.bare, patchOf(changes, undefined)));
    const rest = async () => {
      const tellContact = async () => {
        if (isRouted) await this.#host.router.route(readdress(envelope, user, contact));
      };
      const tellUser = async () => {
        if (change && changes && isVisible(flags, changes)) await this.#roster.push(change);
      };
      // 3.1.2 and 3.1.5: first the contact, then the user's own resources, then presence, which
      // each session sends when it sees the push. 3.2.2: the other way around at the end.
      if (type === "unsubscribed") await this.#announcer.hide(user.bare, contact.bare);
      const inOrder = type === "unsubscribed" ? [tellUser, tellContact] : [tellContact, tellUser];
      for (const tell of inOrder) await tell();
    };
    return consume(rest());
  }

  /** The account of `envelope.to` receives one. */
  async inbound(envelope: Envelope, type: SubscriptionType): Promise<Verdict> {
    const user = envelope.to.bare;
    const contact = envelope.from.bare;
    const flags = flagsOf(await this.#host.rosters.item(user, contact));
    const { isDelivered, changes, answer } = inbound(flags, type);
    const change =
      changes && (await this.#roster.update(user, contact, patchOf(changes, envelope)));
    const push = async () => {
      if (change && changes && isVisible(flags, changes)) await this.#roster.push(change);
    };
    if (answer === undefined) this.#host.router.after(envelope, () => void push());
    else void this.#answer(user, contact, answer).then(push); // 3.1.5: first "subscribed".
    return isDelivered ? PASS : CONSUME;
  }

  async #answer(user: string, contact: string, type: string): Promise<void> {
    const { router } = this.#host;
    const attributes = { xmlns: CLIENT_NS, type, from: user, to: contact };
    await router.route(fromElement(el("presence", attributes), router.nowMs()));
  }

  /**
   * 3.1.2: the user is there again, and the request or its answer may have been lost, because the
   * contact's roster could not be read or written. Who has the request is not asked twice.
   */
  askAgain({ id, jid }: ClientSession, { items }: Pick<Roster, "items">): void {
    const { router } = this.#host;
    for (const { contact, ask } of items) {
      if (!ask) continue;
      const attributes = { xmlns: CLIENT_NS, type: "subscribe", id, from: jid.bare, to: contact };
      void router.route(fromElement(el("presence", attributes), router.nowMs()));
    }
  }

  /** Somebody's client asks for the presence of an account (4.3): may it know? */
  async probed({ from, to }: Envelope): Promise<Verdict> {
    if (from.bare === to.bare) return PASS;
    const item = await this.#host.rosters.item(to.bare, from.bare);
    if (item?.from === true) return PASS;
    // 4.3.2: straight to the one who asks; it changes no roster.
    const attributes = { xmlns: CLIENT_NS, type: "unsubscribed", from: to.bare, to: from.full };
    const { router } = this.#host;
    router.answer(fromElement(el("presence", attributes), router.nowMs()));
    return CONSUME;
  }
}

function patchOf({ pendingIn, ...flags }: FlagChanges, request: Envelope | undefined): RosterPatch {
  const isListed = flags.to || flags.from || flags.ask || flags.approved;
  return {
    ...flags,
    ...(isListed ? { listed: true } : {}),
    ...(pendingIn === undefined ? {} : { pendingIn: pendingIn ? kept(request) : undefined }),
  };
}

function kept(request: Envelope | undefined): Buffer | undefined {
  if (request === undefined || request.bytes.length <= PENDING_BYTES_MAX) return request?.bytes;
  const { from, to, id } = request;
  const attributes = { xmlns: CLIENT_NS, type: "subscribe", id, from: from.bare, to: to.bare };
  return envelopeOf(fromElement(el("presence", attributes), 0).bytes, 0).bytes;
}
