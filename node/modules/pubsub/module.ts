/** XEP-0163 Personal Eventing Protocol: publish-subscribe (XEP-0060) on every account. */
import { randomId } from "../../base/random.ts";
import { integer } from "../../config/options.ts";
import type { PepService, Request } from "../contract.ts";
import {
  counter,
  defineModule,
  disco,
  iq,
  LATE,
  MIDDLE,
  service as provide,
  stage,
} from "../contract.ts";
import { approval } from "./approval.ts";
import { carriedWishes, Delivery } from "./delivery.ts";
import { dispatch } from "./dispatch.ts";
import { LastItems } from "./last-items.ts";
import { OWNER, PUBSUB } from "./names.ts";
import type { Service } from "./node.ts";
import { ownNodes } from "./own-nodes.ts";
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

export const pep = defineModule({
  name: "pep",
  about: "Personal eventing: what users publish about themselves, and bookmarks.",
  needs: ["blocking", "caps", "presence", "roster"],
  provides: ["pep"],
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
      { service, blocking, rosters: host.rosters, router: host.router, log: host.log, counts },
      { readsAtOnce: limits.lastItemReadsAtOnce, waitingMax: limits.lastItemReadsWaitingMax },
    );
    const answer = (type: "get" | "set") => (request: Request) => {
      const { from, to, payload } = request;
      return dispatch(service, type, { owner: to.bare, from, pubsub: payload });
    };

    const delivery = new Delivery({ blocking, caps, roster, lastItems, counts, ...host });
    presence.watch((session, { items }) => delivery.available(session, items));
    caps.watch((session) => delivery.known(session));

    const published: PepService = {
      ...ownNodes(service),
      watch: (node, watcher) => owners.watch(node, watcher),
      watchTold: (node, watcher) => owners.watchTold(node, watcher),
      watchSessions: (node, watcher) => delivery.watchSessions(node, watcher),
    };

    const asking = ({ from, to }: Request) => ({ owner: to.bare, from });
    return [
      provide("pep", published),
      carriedWishes,
      ...[PUBSUB, OWNER].flatMap((ns) =>
        (["self", "another"] as const).flatMap((target) => [
          iq.get(target, ns, "pubsub", answer("get")),
          iq.set(target, ns, "pubsub", answer("set")),
        ]),
      ),
      stage("inbound", MIDDLE, (envelope) => approval(service, envelope)),
      stage("delivery", LATE, (envelope, session) => delivery.deliver(envelope, session)),
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
