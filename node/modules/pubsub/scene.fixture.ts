/** Users of a test whose clients say what they want to be told of. */
import type { Element } from "../../xml/element.ts";
import { parseElement } from "../../xml/parser.ts";
import { verificationString, verOf } from "../caps/verification.ts";
import type { TestSession } from "../testing/client.ts";
import type { ClusterOptions, TestNode } from "../testing/cluster.ts";
import { Cluster, DOMAIN } from "../testing/cluster.ts";
import { conditionOf, take } from "../testing/read.ts";
import { ERRORS, EVENT, OWNER, PUBSUB } from "./names.ts";

const INFO = "http://jabber.org/protocol/disco#info";

export const bare = (name: string): string => `${name}@${DOMAIN}`;

/** A client with the node it is connected to. */
export class Client {
  readonly session: TestSession;
  readonly node: TestNode;
  readonly #cluster: Cluster;
  #ids = 0;

  constructor(session: TestSession, node: TestNode, cluster: Cluster) {
    this.session = session;
    this.node = node;
    this.#cluster = cluster;
  }

  async send(xml: string): Promise<void> {
    const sent = this.node.send(this.session, xml);
    await this.#cluster.settle();
    await sent;
  }

  /** The answer to a request. */
  async ask(type: "get" | "set", payload: string, to?: string): Promise<Element> {
    this.#ids += 1;
    const id = `q${this.#ids}`;
    const address = to === undefined ? "" : ` to='${to}'`;
    await this.send(`<iq type='${type}' id='${id}'${address}>${payload}</iq>`);
    const index = this.session.received.findIndex(({ attrs }) => attrs.id === id);
    const [answer] = this.session.received.splice(index, 1);
    if (index === -1 || answer === undefined) throw new Error(`No answer to ${payload}`);
    return answer;
  }

  get(wish: string, to?: string): Promise<Element> {
    return this.ask("get", `<pubsub xmlns='${PUBSUB}'>${wish}</pubsub>`, to);
  }

  set(wish: string, to?: string): Promise<Element> {
    return this.ask("set", `<pubsub xmlns='${PUBSUB}'>${wish}</pubsub>`, to);
  }

  ownerGet(wish: string, to?: string): Promise<Element> {
    return this.ask("get", `<pubsub xmlns='${OWNER}'>${wish}</pubsub>`, to);
  }

  ownerSet(wish: string, to?: string): Promise<Element> {
    return this.ask("set", `<pubsub xmlns='${OWNER}'>${wish}</pubsub>`, to);
  }

  publish(node: string, id: string, options = "", to?: string): Promise<Element> {
    return this.set(publication(node, id, options), to);
  }

  /** The node's configuration changed by these fields. */
  configure(node: string, fields: Record<string, string>): Promise<Element> {
    const said = form("http://jabber.org/protocol/pubsub#node_config", fields);
    return this.ownerSet(`<configure node='${node}'>${said}</configure>`);
  }

  async subscribe(node: string, to: string): Promise<Element> {
    return await this.set(`<subscribe node='${node}' jid='${this.session.jid.bare}'/>`, to);
  }

  /** Presence with what the client wants to be told of; answers what it is asked about that. */
  async wants(...nodes: string[]): Promise<void> {
    const features = nodes.map((node) => `<feature var='${node}+notify'/>`).join("");
    const info = `<query xmlns='${INFO}'>${features}</query>`;
    const ver = verOf(verificationString(parseElement(Buffer.from(info))) as string, "sha-1");
    const c = `<c xmlns='http://jabber.org/protocol/caps' node='app' hash='sha-1' ver='${ver}'/>`;
    await this.send(`<presence>${c}</presence>`);
    const { received } = this.session;
    const asked = received.find(
      ({ name, attrs }) => name === "iq" && attrs.from === DOMAIN && attrs.type === "get",
    );
    if (asked === undefined) return;
    received.splice(received.indexOf(asked), 1);
    await this.send(`<iq type='result' id='${asked.attrs.id}' to='${DOMAIN}'>${info}</iq>`);
  }

  /** Events since the last call: "owner node: what", in order. */
  events(): string[] {
    return take(this.session, "message").flatMap(briefEvent);
  }

  /** Whole event messages since the last call. */
  messages(): Element[] {
    return take(this.session, "message");
  }
}

/** "romeo tune: item a <song>", "romeo tune: retract a", "romeo tune: purge" */
export function briefEvent(message: Element): string[] {
  const event = message.getChild("event", EVENT);
  if (event === undefined) return [];
  const [what] = event.getChildElements();
  const from = String(message.attrs.from).split("@")[0];
  const about = `${from} ${what?.attrs.node}`;
  if (what?.name !== "items") return [`${about}: ${what?.name}`];
  const parts = what.getChildElements();
  if (parts.length === 0) return [`${about}: nothing`];
  return parts.map(
    ({ name, attrs, children }) =>
      `${about}: ${name} ${attrs.id}${children.map((child) => ` <${(child as Element).name}>`).join("")}`,
  );
}

export const publication = (node: string, id: string, options = ""): string =>
  `<publish node='${node}'><item id='${id}'><thing xmlns='urn:thing'>${id}</thing></item></publish>${options}`;

export const form = (type: string, fields: Record<string, string>): string => {
  const field = ([name, value]: [string, string]) =>
    `<field var='${name}'>${value
      .split("|")
      .map((one) => `<value>${one}</value>`)
      .join("")}</field>`;
  const hidden = `<field var='FORM_TYPE' type='hidden'><value>${type}</value></field>`;
  return `<x xmlns='jabber:x:data' type='submit'>${hidden}${Object.entries(fields).map(field).join("")}</x>`;
};

export const options = (fields: Record<string, string>): string =>
  `<publish-options>${form(`${PUBSUB}#publish-options`, fields)}</publish-options>`;

/** The answer's condition with XEP-0060's own: "conflict precondition-not-met", or "result". */
export function outcome(answer: Element): string {
  if (answer.attrs.type === "result") return "result";
  const own = answer
    .getChild("error")
    ?.getChildElements()
    .find((child) => child.getNS() === ERRORS);
  const feature = own?.attrs.feature === undefined ? "" : `=${own.attrs.feature}`;
  const type = answer.getChild("error")?.attrs.type;
  return [conditionOf(answer), own && `${own.name}${feature}`, `(${type})`]
    .filter(Boolean)
    .join(" ");
}

/** Ids of the items in an answer. */
export const idsIn = (answer: Element): string[] =>
  answer
    .getChild("pubsub")
    ?.getChild("items")
    ?.getChildElements()
    .map(({ attrs }) => String(attrs.id)) ?? [];

export class Scene {
  readonly cluster: Cluster;

  constructor(options: ClusterOptions = {}) {
    this.cluster = new Cluster(options);
  }

  user(...names: string[]): void {
    for (const name of names) this.cluster.stores.addUser(bare(name));
  }

  friends(one: string, other: string): void {
    this.cluster.stores.befriend(bare(one), bare(other));
  }

  /** A client that is connected, and available once it `wants` something. */
  async client(address: string, node = 0): Promise<Client> {
    const [name = "", resource = "desk"] = address.split("/");
    this.user(name);
    const at = this.cluster.node(node);
    const coming = at.login(`${bare(name)}/${resource}`);
    await this.cluster.settle();
    return new Client(await coming, at, this.cluster);
  }
}

/**
 * Romeo, who has the nodes "n" for his contacts and "open" for all; juliet, a contact; and tybalt,
 * a stranger. Small limits.
 */
export async function verona() {
  const pep = {
    itemsMax: 4,
    nodesMax: 4,
    nameBytesMax: 64,
    payloadBytesMax: 1_024,
    subscriptionsMax: 2,
    affiliationsMax: 2,
    answerBytesMax: 1_024,
  };
  const scene = new Scene({ nodes: 2, options: { pep } });
  scene.friends("romeo", "juliet");
  const romeo = await scene.client("romeo", 0);
  const juliet = await scene.client("juliet", 1);
  const tybalt = await scene.client("tybalt", 1);
  await romeo.publish("n", "a");
  await romeo.publish("open", "o", options({ "pubsub#access_model": "open" }));
  return { scene, romeo, juliet, tybalt };
}
