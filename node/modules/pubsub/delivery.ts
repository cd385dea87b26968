/** Which events reach a client: where it is connected, by what it says it wants (XEP-0163, 4). */
import type { Logger } from "../../base/log.ts";
import type { RosterItem } from "../../stores/contract.ts";
import { child, children } from "../../xml/names.ts";
import type {
  BlockingService,
  CapsService,
  ClientSession,
  Envelope,
  RosterService,
} from "../contract.ts";
import { CONSUME, carried, PASS } from "../contract.ts";
import type { LastItems } from "./last-items.ts";
import { EVENT, SHIM } from "./names.ts";

const NOTIFY = "+notify";
/** Nodes that one client is told of; more than any asks for. */
const WANTED_MAX = 200;
const STATE = "pep";

const wantedOf = (features: ReadonlySet<string>): readonly string[] =>
  [...features]
    .filter((feature) => feature.endsWith(NOTIFY))
    .map((feature) => feature.slice(0, -NOTIFY.length))
    .slice(0, WANTED_MAX);

/** The nodes that events are about, read once for all who are sent one. */
const nodesOfEvents = new WeakMap<Envelope["children"], string>();

/** The node of an event that its recipient did not subscribe to by name; undefined for all else. */
function implicitNodeOf(envelope: Envelope): string | undefined {
  const { kind, from, to, children: parts } = envelope;
  if (kind !== "message" || !from.isBare || to.isBare) return undefined;
  if (!parts.some(({ name, ns }) => name === "event" && ns === EVENT)) return undefined;
  if (parts.some(({ ns }) => ns === SHIM)) return undefined;
  // All stanzas made from one template share their list of children.
  const known = nodesOfEvents.get(parts);
  if (known !== undefined) return known;
  const event = child(envelope.element(), "event", EVENT);
  const node = String((event && children(event)[0])?.attrs.node ?? "");
  nodesOfEvents.set(parts, node);
  return node;
}

export const carriedWishes = carried<ReadonlySet<string>>(
  STATE,
  (sent) => [...sent],
  (sent: readonly string[]) => new Set(sent),
);

export interface DeliveryParts {
  readonly blocking: BlockingService;
  readonly caps: CapsService;
  readonly roster: Pick<RosterService, "load">;
  readonly lastItems: LastItems;
  readonly domains: readonly string[];
  readonly counts: Record<"filtered", number>;
  readonly log: Logger;
}

export class Delivery {
  readonly #parts: DeliveryParts;
  readonly #watchers: {
    readonly node: string;
    readonly watcher: (session: ClientSession) => void;
  }[] = [];

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
  }

  /** The session has become available: everything that it wants is new to it. */
  available(session: ClientSession, contacts: readonly RosterItem[]): void {
    session.state.delete(STATE);
    this.#sendLast(session, contacts);
  }

  /** What the client wants has become known, or is something else now. */
  known(session: ClientSession): void {
    // Before it is available, its first presence is still to come.
    if (!session.route.available) return;
    const { roster, log } = this.#parts;
    roster.load(session.jid.bare).then(
      ({ items }) => this.#sendLast(session, items),
      (error: unknown) => log.warn({ err: error }, "cannot send last items"),
    );
  }

  /** The last items of what the session wants and was not sent since it came online. */
  #sendLast(session: ClientSession, contacts: readonly RosterItem[]): void {
    const { caps, blocking, lastItems } = this.#parts;
    const features = caps.features(session);
    if (features === undefined) return;
    const sent = (session.state.get(STATE) as ReadonlySet<string> | undefined) ?? new Set();
    const wanted = wantedOf(features);
    session.state.set(STATE, new Set(wanted));
    const names = wanted.filter((name) => !sent.has(name));
    const owners = contacts
      .filter(({ to, contact }) => to && !blocking.isBlocked(session, contact))
      .map(({ contact }) => contact);
    lastItems.send(session, [session.jid.bare, ...owners], names);
  }

  watchSessions(node: string, watcher: (session: ClientSession) => void): void {
    this.#watchers.push({ node, watcher });
  }

  deliver(envelope: Envelope, session: ClientSession) {
    const { caps, blocking, lastItems, domains, counts } = this.#parts;
    const { kind, type, from } = envelope;
    if (kind === "presence" && type === "subscribed" && session.route.available) {
      lastItems.send(session, [from.bare], wantedOf(caps.features(session) ?? new Set()));
      return PASS;
    }
    const node = implicitNodeOf(envelope);
    if (node === undefined || !domains.includes(from.domain)) return PASS;
    if (from.full === session.jid.bare) {
      for (const one of this.#watchers) if (one.node === node) one.watcher(session);
    }
    const isWanted = caps.features(session)?.has(`${node}${NOTIFY}`) === true;
    if (!isWanted || blocking.isBlocked(session, from)) {
      counts.filtered += 1;
      return CONSUME;
    }
    lastItems.heard(session, from.bare, node);
    return PASS;
  }
}
