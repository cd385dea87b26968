/** A node as its rules see it, and who somebody is at it. */
import type { Jid } from "../../stanza/jid.ts";
import type {
  PublishedItem,
  Pubsub,
  PubsubNode,
  PubsubNodeWithLast,
} from "../../stores/contract.ts";
import type { Element } from "../../xml/element.ts";
import type { Affiliation, Asker } from "./access.ts";
import { AFFILIATIONS } from "./access.ts";
import type { ConfigLimits, NodeConfig } from "./config.ts";
import { decodeConfig } from "./config.ts";

export interface Subscription {
  readonly subid: string;
  /** As it was subscribed: bare or full. */
  readonly jid: string;
  readonly state: "subscribed" | "pending";
}

export type Addressee = Pick<Subscription, "jid" | "subid">;

export interface Node {
  readonly owner: string;
  readonly name: string;
  readonly config: NodeConfig;
  readonly affiliations: ReadonlyMap<string, Affiliation>;
  readonly subscriptions: readonly Subscription[];
  readonly stored: PubsubNode;
}

/** With its last item in `stored`. */
export type Found = Node & { readonly stored: PubsubNodeWithLast };

export interface Limits extends ConfigLimits {
  readonly nodesMax: number;
  readonly nameBytesMax: number;
  readonly affiliationsMax: number;
  readonly subscriptionsMax: number;
  /** Octets of payload in one answer. */
  readonly answerBytesMax: number;
}

export interface Relation {
  readonly seesPresence: boolean;
  readonly groups: readonly string[];
}

export interface Change {
  /** Undefined when items, or all of them, were removed. */
  readonly published?: PublishedItem;
  /** Undefined where nobody is to be told. */
  readonly event: Element | undefined;
}

/** What the rules ask of whoever nodes belong to: a user, or a service with its own domain. */
export interface Owners {
  readonly defaults: (name: string) => NodeConfig;
  /** Whether everything of the owner's is theirs, and they may make nodes. */
  readonly isOwner: (owner: string, bare: string) => boolean;
  readonly relation: (owner: string, bare: string) => Promise<Relation>;
  /** Tells all who may hear of it. Resolves when it is on its way, in order. Never rejects. */
  readonly tell: (node: Node, event: Element) => Promise<void>;
  /** Items have changed at a node, which is given as it was before: tells of it. Never rejects. */
  readonly changed: (node: Found, change: Change) => Promise<void>;
  /** Asks the owner about a subscription that waits. */
  readonly ask: (node: Node, form: Element) => void;
  /** Tells one subscription, whatever it would hear of otherwise. */
  readonly tellOne: (node: Node, to: Addressee, event: Element) => void;
}

/** What every rule works on. */
export interface Service {
  readonly store: Pubsub;
  readonly owners: Owners;
  readonly limits: Limits;
  readonly newId: () => string;
}

/** One request to the nodes of `owner`. */
export interface Call {
  readonly owner: string;
  readonly from: Jid;
  /** The whole `<pubsub/>`. */
  readonly pubsub: Element;
  /** The child that says what is wanted. */
  readonly wish: Element;
}

export function decodeNode(service: Service, owner: string, stored: PubsubNode): Node {
  const { name, config } = stored;
  return {
    owner,
    name,
    config: decodeConfig(config, service.owners.defaults(name)),
    affiliations: new Map(
      [...stored.affiliations].map(([bare, said]) => [
        bare,
        AFFILIATIONS.find((one) => one === said) ?? "none",
      ]),
    ),
    subscriptions: [...stored.subscriptions].map(([subid, value]) => decodeOne(subid, value)),
    stored,
  };
}

function decodeOne(subid: string, value: string): Subscription {
  const space = value.indexOf(" ");
  const state = value.slice(0, space) === "subscribed" ? "subscribed" : "pending";
  return { subid, jid: value.slice(space + 1), state };
}

export const encodeOne = ({ state, jid }: { state: string; jid: string }): string =>
  `${state} ${jid}`;

export async function findNode(
  service: Service,
  owner: string,
  name: string,
): Promise<Found | undefined> {
  const [stored] = await service.store.read(owner, [name]);
  return stored === undefined ? undefined : { ...decodeNode(service, owner, stored), stored };
}

export const bareOf = (jid: string): string => jid.split("/", 1)[0] as string;

export function affiliationOf(service: Service, node: Node, bare: string): Affiliation {
  return service.owners.isOwner(node.owner, bare) ? "owner" : knownAffiliation(node, bare);
}

/** What the node itself says of somebody. */
export const knownAffiliation = ({ affiliations }: Node, bare: string): Affiliation =>
  affiliations.get(bare) ?? "none";

const UNRELATED: Relation = { seesPresence: false, groups: [] };

/** Somebody at a node. Asks for their relation to the owner only where it matters. */
export async function askerAt(service: Service, node: Node, { bare }: Jid): Promise<Asker> {
  const affiliation = affiliationOf(service, node, bare);
  const { accessModel } = node.config;
  const matters =
    affiliation === "none" && (accessModel === "presence" || accessModel === "roster");
  const relation = matters ? await service.owners.relation(node.owner, bare) : UNRELATED;
  return askerOf(affiliation, node, bare, relation);
}

export function askerOf(
  affiliation: Affiliation,
  { subscriptions }: Node,
  bare: string,
  relation: Relation,
): Asker {
  const own = subscriptions.filter(({ jid }) => bareOf(jid) === bare);
  const subscription = own.find(({ state }) => state === "subscribed") ?? own[0];
  return { affiliation, subscription: subscription?.state, ...relation };
}
