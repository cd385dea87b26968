/** XEP-0163 Personal Eventing Protocol: publish-subscribe (XEP-0060) on every account. */
import { randomId } from "../../base/random.ts";
import { integer } from "../../config/options.ts";
import { Jid } from "../../stanza/jid.ts";
import { child, children } from "../../xml/names.ts";
import type { ClientSession, Envelope, Request } from "../contract.ts";
import { CONSUME, counter, defineModule, disco, iq, LATE, PASS, stage } from "../contract.ts";
import { dispatch } from "./dispatch.ts";
import { LastItems } from "./last-items.ts";
import { EVENT, OWNER, PUBSUB, SHIM } from "./names.ts";
import type { Service } from "./node.ts";
import { Personal } from "./personal.ts";
import { describeNode, listItems, listNodes } from "./retrieve.ts";

/** What of XEP-0060 an account can do (table 10). */
const FEATURES = [
  "access-authorize",
  "access-open",
  "access-presence",
  "access-roster",
  "access-whitelist",
  "auto-create",
  "auto-subscribe",
  "config-node",
  "config-node-max",
  "create-and-configure",
  "create-nodes",
  "delete-items",
  "delete-nodes",
  "filtered-notifications",
  "instant-nodes",
  "item-ids",
  "last-published",
  "manage-subscriptions",
  "member-affiliation",
  "meta-data",
  "modify-affiliations",
  "outcast-affiliation",
  "persistent-items",
  "presence-subscribe",
  "publish",
  "publish-only-affiliation",
  "publish-options",
  "publisher-affiliation",
  "purge-nodes",
  "retract-items",
  "retrieve-affiliations",
  "retrieve-default",
  "retrieve-items",
  "retrieve-subscriptions",
  "rsm",
  "subscribe",
].map((feature) => `${PUBSUB}#${feature}`);

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

export const pep = defineModule({
  name: "pep",
  about: "Personal eventing: what users publish about themselves, and bookmarks.",
  needs: ["blocking", "caps", "presence", "roster"],
  implements: [
    { xep: 60, version: "1.27.0" },
    { xep: 163, version: "1.2.2" },
    { xep: 223, version: "1.1.1" },
  ],
  options: {
    itemsMax: integer({
      about: "Items that one node may keep, which is what `max` means.",
      default: 1_000,
      min: 1,
      max: 10_000,
    }),
    payloadBytesMax: integer({
      about: "Size of an item's payload.",
      default: 131_072,
      min: 1_024,
      max: 1_000_000,
    }),
    nodesMax: integer({ about: "Nodes of one account.", default: 500, min: 1, max: 10_000 }),
    nameBytesMax: integer({
      about: "Length of the name of a node and of the id of an item.",
      default: 1_023,
      min: 64,
      max: 3_000,
    }),
    affiliationsMax: integer({
      about: "Affiliations that the owner of one node may give.",
      default: 1_000,
      min: 0,
      max: 10_000,
    }),
    subscriptionsMax: integer({
      about: "Subscriptions to one node, besides those that come with presence.",
      default: 1_000,
      min: 0,
      max: 10_000,
    }),
    answerBytesMax: integer({
      about: "Payload in one answer; who wants more asks for pages.",
      default: 524_288,
      min: 1_024,
      max: 16_000_000,
    }),
    lastItemReadsAtOnce: integer({
      about: "Accounts whose last items are read at the same time for those who come online.",
      default: 16,
      min: 1,
      max: 1_000,
    }),
    lastItemReadsWaitingMax: integer({
      about: "Accounts that may wait for that; a client does not get the last items of more.",
      default: 100_000,
      min: 100,
      max: 10_000_000,
    }),
  },
  metrics: {
    lastItemReads: counter("Accounts whose last items were read for somebody who came online."),
    lastItemsShed: counter("Accounts whose last items were not read, as too many were waiting."),
    filtered: counter("Events that a client did not want and was not sent."),
  },
  setup({ blocking, caps, presence, roster, counts, ...host }, limits) {
    const owners = new Personal({ ...host, blocking }, limits);
    const newId = () => randomId(host.random, 12);
    const service: Service = { store: host.pubsub, owners, limits, newId };
    const lastItems = new LastItems(
      { service, rosters: host.rosters, router: host.router, log: host.log, counts },
      { readsAtOnce: limits.lastItemReadsAtOnce, waitingMax: limits.lastItemReadsWaitingMax },
    );
    const answer = (type: "get" | "set") => (request: Request) => {
      const { from, to, payload } = request;
      return dispatch(service, type, { owner: to.bare, from, pubsub: payload });
    };

    /** Sends what the session wants and was not sent since it came online. */
    function arrived(session: ClientSession, contacts: Iterable<string>, isNew: boolean): void {
      const features = caps.features(session);
      if (features === undefined) return;
      const sent = isNew ? new Set() : ((session.state.get(STATE) as Set<string>) ?? new Set());
      const wanted = wantedOf(features);
      session.state.set(STATE, new Set(wanted));
      const names = wanted.filter((name) => !sent.has(name));
      const owners = [...contacts].filter(
        (contact) => !blocking.isBlocked(session, Jid.prepared(contact)),
      );
      lastItems.send(session, [session.jid.bare, ...owners], names);
    }
    const seenBy = (items: readonly { readonly contact: string; readonly to: boolean }[]) =>
      items.filter((item) => item.to).map((item) => item.contact);

    presence.watch((session, { items }) => arrived(session, seenBy(items), true));
    caps.watch((session) => {
      // Before it is available, its first presence is still to come.
      if (!session.route.available) return;
      roster.load(session.jid.bare).then(
        ({ items }) => arrived(session, seenBy(items), false),
        (error: unknown) => host.log.warn({ err: error }, "cannot send last items"),
      );
    });

    function deliver(envelope: Envelope, session: ClientSession) {
      const { from } = envelope;
      if (
        envelope.kind === "presence" &&
        envelope.type === "subscribed" &&
        session.route.available
      ) {
        lastItems.send(session, [from.bare], wantedOf(caps.features(session) ?? new Set()));
        return PASS;
      }
      const node = implicitNodeOf(envelope);
      if (node === undefined || !host.domains.includes(from.domain)) return PASS;
      const isWanted = caps.features(session)?.has(`${node}${NOTIFY}`) === true;
      if (!isWanted || blocking.isBlocked(session, from)) {
        counts.filtered += 1;
        return CONSUME;
      }
      lastItems.heard(session, from.bare, node);
      return PASS;
    }

    const asking = ({ from, to }: Request) => ({ owner: to.bare, from });
    return [
      iq.get("account", PUBSUB, "pubsub", answer("get")),
      iq.set("account", PUBSUB, "pubsub", answer("set")),
      iq.get("account", OWNER, "pubsub", answer("get")),
      iq.set("account", OWNER, "pubsub", answer("set")),
      stage("delivery", LATE, deliver),
      disco("account", {
        identities: [{ category: "pubsub", type: "pep" }],
        features: [PUBSUB, ...FEATURES],
        info: (request, node) => describeNode(service, asking(request), node),
        items: (request, node) =>
          node === ""
            ? listNodes(service, asking(request))
            : listItems(service, asking(request), node),
      }),
    ];
  },
});
