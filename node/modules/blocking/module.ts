/**
 * XEP-0191 Blocking Command: each user's list of addresses cut off in both directions. The entry
 * node refuses what comes from a blocked address before anything is archived or stored; the node
 * of a session checks once more, for what reaches sessions without asking the account (presence).
 * A blocked full address still sees the presence of the user, which goes to bare addresses.
 */
import { randomId } from "../../base/random.ts";
import { integer, optionalText } from "../../config/options.ts";
import { newTemplate } from "../../router/envelopes.ts";
import { StanzaError } from "../../stanza/error.ts";
import { Jid, JidError } from "../../stanza/jid.ts";
import type { Element } from "../../xml/element.ts";
import { el } from "../../xml/element.ts";
import { child, children } from "../../xml/names.ts";
import type {
  BlockingService,
  ClientSession,
  Envelope,
  Host,
  Request,
  Verdict,
} from "../contract.ts";
import {
  bounce,
  CONSUME,
  carriedFlag,
  counter,
  defineModule,
  FIRST,
  gauge,
  iq,
  PASS,
  service,
  stage,
} from "../contract.ts";
import type { BlocklistChange } from "./list.ts";
import type { ListLimits } from "./lists.ts";
import { Blocklists, carriedList } from "./lists.ts";
import type { Report } from "./report.ts";
import { REPORTING_NS, readReport, reportMessage } from "./report.ts";

const NS = "urn:xmpp:blocking";
const BLOCKED = el("blocked", { xmlns: "urn:xmpp:blocking:errors" });
const REFUSED = bounce("not-acceptable", BLOCKED);
const HIDDEN = bounce("service-unavailable");
/** In a session's state: it asked for the list and is told of changes (section 3.1). */
const INTEREST = "blocking-interest";

interface Settings extends ListLimits {
  readonly reportsTo?: string | undefined;
}

interface Counts {
  refused: number;
  reports: number;
  listsRemembered: number;
}

class Blocking implements BlockingService {
  readonly #host: Host & { readonly counts: Counts };
  readonly #settings: Settings;
  readonly #lists: Blocklists;
  readonly #watchers: ((session: ClientSession, change: BlocklistChange) => void)[] = [];

  constructor(host: Host & { readonly counts: Counts }, settings: Settings) {
    this.#host = host;
    this.#settings = settings;
    this.#lists = new Blocklists(host, settings);
  }

  follow(session: ClientSession): Promise<void> {
    return this.#lists.follow(session);
  }

  blocks(user: string, peer: Jid): boolean | Promise<boolean> {
    return this.#lists.covers(user, peer);
  }

  isBlocked(session: ClientSession, peer: Jid | string): boolean {
    const list = this.#lists.followed(session);
    // Most users block nobody, and each login asks this about all contacts.
    if (list === undefined || list.size === 0) return false;
    return list.covers(typeof peer === "string" ? Jid.prepared(peer) : peer);
  }

  watch(watcher: (session: ClientSession, change: BlocklistChange) => void): void {
    this.#watchers.push(watcher);
  }

  async get({ from, session }: Request) {
    session?.state.set(INTEREST, true);
    const list = await this.#lists.read(from.bare);
    const items = [...list].map((jid) => el("item", { jid }));
    return el("blocklist", { xmlns: NS }, items);
  }

  async block({ from, payload }: Request) {
    const items = children(payload, "item", NS);
    if (items.length === 0) throw new StanzaError("bad-request", "Cannot block: no item given");
    const addresses = [...new Set(items.map(addressOf))];
    const reports = items.flatMap((item) => readReport(item, addressOf(item)) ?? []);
    const list = await this.#lists.read(from.bare);
    const more = addresses.filter((address) => !list.has(address));
    const { itemsMax } = this.#settings;
    if (list.size + more.length > itemsMax) {
      throw new StanzaError("resource-constraint", `Cannot block: ${itemsMax} are the most`);
    }
    await this.#lists.write(from.bare, { blocked: addresses, unblocked: [] });
    await this.#push(from, "block", addresses);
    for (const report of reports) this.#report(from, report);
    return undefined;
  }

  async unblock({ from, payload }: Request) {
    const items = children(payload, "item", NS);
    const list = await this.#lists.read(from.bare);
    const asked = items.length === 0 ? [...list] : items.map(addressOf); // 3.4: none means all.
    const unblocked = asked.filter((address) => list.has(address));
    await this.#lists.write(from.bare, { blocked: [], unblocked });
    await this.#push(from, "unblock", items.length === 0 ? [] : asked);
    return undefined;
  }

  /**
   * The answer waits for it: then all nodes of the user obey. Nothing in the lane of an account to
   * itself waits for another lane.
   */
  #push(from: Jid, name: "block" | "unblock", addresses: readonly string[]): Promise<void> {
    const { router, random } = this.#host;
    const id = `push-${randomId(random, 6)}`;
    const about = { type: "set", id, from: from.toBare(), receivedMs: router.nowMs() };
    const items = addresses.map((jid) => el("item", { jid }));
    return router.push(newTemplate("iq", about, el(name, { xmlns: NS }, items)), from.bare);
  }

  #report({ bare, domain }: Jid, report: Report): void {
    const { counts, log, router } = this.#host;
    const { reported, reason } = report;
    counts.reports += 1;
    log.info({ reporter: bare, reported, reason }, "address reported");
    const to = this.#settings.reportsTo;
    if (to === undefined) return;
    const about = { reporter: bare, from: domain, to, nowMs: router.nowMs() };
    void router.route(reportMessage(report, about));
  }

  outbound({ to }: Envelope, session: ClientSession): Verdict | Promise<Verdict> {
    if (this.#isOwn(to, session.jid)) return PASS;
    const list = this.#lists.followed(session);
    const isBlocked = list?.covers(to) ?? this.#lists.covers(session.jid.bare, to);
    return this.#judged(isBlocked, REFUSED);
  }

  inbound({ from, to }: Envelope): Verdict | Promise<Verdict> {
    if (this.#isOwn(from, to)) return PASS;
    return this.#judged(this.#lists.covers(to.bare, from), HIDDEN);
  }

  #judged(isBlocked: boolean | Promise<boolean>, refusal: Verdict): Verdict | Promise<Verdict> {
    if (isBlocked === false) return PASS;
    if (isBlocked === true) return this.#refused(refusal);
    return isBlocked.then((late) => {
      this.#host.counts.listsRemembered = this.#lists.remembered;
      return this.#judged(late, refusal);
    });
  }

  delivery(envelope: Envelope, session: ClientSession) {
    const { from, kind, to } = envelope;
    if (kind === "iq" && from.full === session.jid.bare && envelope.children[0]?.ns === NS) {
      this.#told(envelope.element(), session);
      return session.state.has(INTEREST) ? PASS : CONSUME;
    }
    if (!this.isBlocked(session, from) || this.#isOwn(from, session.jid)) return PASS;
    // The entry node did not know yet. A message to all resources is not refused once by each.
    if (kind === "iq" || !to.isBare) this.#host.router.refuse(envelope, "service-unavailable");
    this.#refused(HIDDEN);
    return CONSUME;
  }

  #told(stanza: Element, session: ClientSession): void {
    const [name, payload] = (["block", "unblock"] as const)
      .map((one) => [one, child(stanza, one, NS)] as const)
      .find(([, found]) => found !== undefined) ?? ["block", undefined];
    if (payload === undefined) return;
    const named = children(payload, "item", NS).map(({ attrs }) => String(attrs.jid));
    const all = named.length === 0 ? [...(this.#lists.followed(session) ?? [])] : named;
    const change =
      name === "block" ? { blocked: named, unblocked: [] } : { blocked: [], unblocked: all };
    const tell = (what: BlocklistChange) => {
      for (const watcher of this.#watchers) watcher(session, what);
    };
    if (this.#lists.change(session, change, tell)) tell(change);
  }

  #refused(verdict: Verdict): Verdict {
    this.#host.counts.refused += 1;
    return verdict;
  }

  /** Nobody can cut off their own resources, or the server that they would undo it with. */
  #isOwn(peer: Jid, own: Jid): boolean {
    if (peer.bare === own.bare) return true;
    return peer.local === "" && this.#host.domains.includes(peer.domain);
  }
}

function addressOf({ attrs }: Element): string {
  try {
    return Jid.parse(String(attrs.jid ?? "")).full;
  } catch (error) {
    if (error instanceof JidError) throw new StanzaError("jid-malformed", error.message);
    throw error;
  }
}

export const blocking = defineModule({
  name: "blocking",
  about: "Users block addresses, and may report them.",
  provides: ["blocking"],
  features: [NS, REPORTING_NS],
  implements: [
    { xep: 191, version: "1.3" },
    { xep: 377, version: "0.4.1" },
  ],
  metrics: {
    refused: counter("Stanzas from or to blocked addresses that were refused."),
    reports: counter("Addresses that users reported when they blocked them."),
    listsRemembered: gauge("Blocklists remembered for users without a session here."),
  },
  options: {
    itemsMax: integer({
      about: "Addresses on one user's list.",
      default: 1_000,
      min: 1,
      max: 10_000,
    }),
    cacheUsersMax: integer({
      about: "Users without a session here whose lists a node remembers.",
      default: 50_000,
      min: 100,
      max: 10_000_000,
    }),
    cacheSeconds: integer({
      about:
        "How long it remembers them, and so how old a list it may obey for a user who is away.",
      default: 30,
      min: 1,
      max: 600,
    }),
    reportsTo: optionalText({ about: "Address that reports of spam and abuse are sent to." }),
  },
  setup(host, settings) {
    const blocked = new Blocking(host, settings);
    return [
      service("blocking", blocked),
      carriedFlag(INTEREST),
      carriedList,
      iq.get("self", NS, "blocklist", (request) => blocked.get(request)),
      iq.set("self", NS, "block", (request) => blocked.block(request)),
      iq.set("self", NS, "unblock", (request) => blocked.unblock(request)),
      stage("outbound", FIRST, (envelope, sender) => blocked.outbound(envelope, sender)),
      stage("inbound", FIRST, (envelope) => blocked.inbound(envelope)),
      stage("delivery", FIRST, (envelope, session) => blocked.delivery(envelope, session)),
    ];
  },
});
