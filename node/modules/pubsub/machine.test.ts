/** The rules by themselves, with owners that are no users: any series of requests, any askers. */
import { describe, expect, test } from "vitest";
import { StanzaError } from "../../stanza/error.ts";
import { Jid } from "../../stanza/jid.ts";
import type { Pubsub } from "../../stores/contract.ts";
import { parseElement } from "../../xml/parser.ts";
import { MemoryPubsub } from "../testing/memory-pubsub.ts";
import { seeded } from "../testing/weather.ts";
import type { NodeConfig } from "./config.ts";
import { itemsMaxOf } from "./config.ts";
import { dispatch } from "./dispatch.ts";
import { NODE_CONFIG, OWNER, PUBSUB } from "./names.ts";
import type { Service } from "./node.ts";
import { findNode } from "./node.ts";
import { form } from "./scene.fixture.ts";

const SERVICE = "pubsub.example.org";
const ADMIN = "admin@example.org";
const PEOPLE = [
  ADMIN,
  "member@example.org",
  "publisher@example.org",
  "outcast@example.org",
  "guest@example.org",
];
const NODES = ["a", "b", "c"];
const ITEMS = ["1", "2", "3", "4", "5"];
const LIMITS = {
  itemsMax: 3,
  payloadBytesMax: 1_000,
  nodesMax: 2,
  nameBytesMax: 64,
  affiliationsMax: 3,
  subscriptionsMax: 2,
  answerBytesMax: 10_000,
};
const PLAIN: NodeConfig = {
  title: "",
  description: "",
  type: "",
  accessModel: "open",
  publishModel: "publishers",
  rosterGroups: [],
  persistItems: true,
  maxItems: 2,
  maxPayloadBytes: 1_000,
  sendLast: "on_sub",
  deliverNotifications: true,
  deliverPayloads: true,
  notifyRetract: true,
  notifyDelete: true,
  notifyConfig: true,
  notificationType: "headline",
  presenceBasedDelivery: true,
};

/** A service with a domain of its own, as XEP-0060 has it; one administrator owns all nodes. */
function newService(told: string[]): Service {
  let ids = 0;
  const store: Pubsub = new MemoryPubsub(() => 1_700_000_000_000).of(async (work) => work());
  return {
    store,
    limits: LIMITS,
    newId() {
      ids += 1;
      return `id-${ids}`;
    },
    owners: {
      defaults: () => PLAIN,
      isOwner: (_, bare) => bare === ADMIN,
      relation: async () => ({ seesPresence: false, groups: [] }),
      async changed(node, { event }) {
        if (event !== undefined) await this.tell(node, event);
      },
      ask: (node) => void told.push(`${node.name} asks`),
      tell: async (node, event) =>
        void told.push(`${node.name} ${event.getChildElements()[0]?.name}`),
      tellOne: (node, { jid }) => void told.push(`${node.name} to ${jid}`),
    },
  };
}

class Play {
  readonly told: string[] = [];
  readonly service = newService(this.told);
  /** What the nodes should hold: a list of ids, the oldest first, and the last one published. */
  readonly model = new Map<string, { kept: string[]; last: string | undefined }>();
  readonly #fraction: () => number;

  constructor(seed: number) {
    this.#fraction = seeded(seed);
  }

  pick<T>(values: readonly T[]): T {
    return values[Math.floor(this.#fraction() * values.length)] as T;
  }

  async snapshot(): Promise<string> {
    const nodes = await this.service.store.read(SERVICE, NODES);
    const items = await Promise.all(NODES.map((name) => this.service.store.itemIds(SERVICE, name)));
    const plain = (_: string, value: unknown) => (value instanceof Map ? [...value] : value);
    return JSON.stringify([nodes, items], plain);
  }

  async ask(from: string, space: string, type: "get" | "set", wish: string): Promise<string> {
    const pubsub = parseElement(Buffer.from(`<pubsub xmlns='${space}'>${wish}</pubsub>`));
    const before = await this.snapshot();
    const heard = this.told.length;
    try {
      await dispatch(this.service, type, { owner: SERVICE, from: Jid.parse(`${from}/x`), pubsub });
    } catch (error) {
      expect(error).toBeInstanceOf(StanzaError);
      // What is refused changes nothing and is told to nobody.
      expect(await this.snapshot()).toBe(before);
      expect(this.told).toHaveLength(heard);
      return (error as StanzaError).condition;
    }
    if (type === "get") expect(await this.snapshot()).toBe(before);
    return "done";
  }

  async step(): Promise<void> {
    const [from, name, id] = [this.pick(PEOPLE), this.pick(NODES), this.pick(ITEMS)];
    const moves: (() => Promise<void>)[] = [
      () => this.publish(from, name, id),
      () => this.publish(from, name, id),
      () => this.publish(ADMIN, name, id),
      () => this.retract(from, name, id),
      () => this.configure(from, name),
      () => this.affiliate(from, name),
      () => this.remove(from, name),
      async () => void (await this.ask(from, PUBSUB, "get", `<items node='${name}'/>`)),
      async () =>
        void (await this.ask(from, PUBSUB, "set", `<subscribe node='${name}' jid='${from}'/>`)),
      async () =>
        void (await this.ask(from, PUBSUB, "set", `<unsubscribe node='${name}' jid='${from}'/>`)),
    ];
    await this.pick(moves)();
    await this.check();
  }

  async publish(from: string, name: string, id: string): Promise<void> {
    const wish = `<publish node='${name}'><item id='${id}'><x xmlns='urn:x'/></item></publish>`;
    if ((await this.ask(from, PUBSUB, "set", wish)) !== "done") return;
    const node = await findNode(this.service, SERVICE, name);
    if (node === undefined) throw new Error("What was published to is not there");
    const held = this.model.get(name) ?? { kept: [], last: undefined };
    this.model.set(name, held);
    held.last = id;
    if (!node.config.persistItems) return;
    held.kept = [...held.kept.filter((one) => one !== id), id].slice(
      -itemsMaxOf(node.config, LIMITS),
    );
  }

  async retract(from: string, name: string, id: string): Promise<void> {
    const wish = `<retract node='${name}'><item id='${id}'/></retract>`;
    if ((await this.ask(from, PUBSUB, "set", wish)) !== "done") return;
    const held = this.model.get(name);
    if (held === undefined) throw new Error("What was retracted was never there");
    held.kept = held.kept.filter((one) => one !== id);
    if (held.last === id) held.last = held.kept.at(-1);
  }

  async configure(from: string, name: string): Promise<void> {
    const fields = {
      "pubsub#max_items": this.pick(["1", "2", "max"]),
      "pubsub#persist_items": this.pick(["1", "1", "0"]),
      "pubsub#access_model": this.pick(["open", "whitelist", "authorize"]),
      "pubsub#publish_model": this.pick(["publishers", "subscribers", "open"]),
    };
    const said = `<configure node='${name}'>${form(NODE_CONFIG, fields)}</configure>`;
    const answer = await this.ask(from, OWNER, "set", said);
    if (answer !== "done") return;
    expect(from).toBe(ADMIN);
    const node = await findNode(this.service, SERVICE, name);
    const held = this.model.get(name);
    if (node === undefined || held === undefined) throw new Error("A node is missing");
    const most = node.config.persistItems ? itemsMaxOf(node.config, LIMITS) : 0;
    held.kept = most === 0 ? [] : held.kept.slice(-most);
  }

  async affiliate(from: string, name: string): Promise<void> {
    const [jid, affiliation] = [
      this.pick(PEOPLE),
      this.pick(["member", "publisher", "outcast", "none"]),
    ];
    const said = `<affiliation jid='${jid}' affiliation='${affiliation}'/>`;
    const answer = await this.ask(
      from,
      OWNER,
      "set",
      `<affiliations node='${name}'>${said}</affiliations>`,
    );
    if (answer === "done") expect([from, jid === ADMIN]).toEqual([ADMIN, false]);
  }

  async remove(from: string, name: string): Promise<void> {
    const what = this.pick(["delete", "purge", "purge"]);
    if ((await this.ask(from, OWNER, "set", `<${what} node='${name}'/>`)) !== "done") return;
    expect(from).toBe(ADMIN);
    if (what === "delete") this.model.delete(name);
    else this.model.set(name, { kept: [], last: undefined });
  }

  /** The nodes hold what they should, and never more than is allowed. */
  async check(): Promise<void> {
    const { store } = this.service;
    const nodes = await store.list(SERVICE);
    expect(nodes.map(({ name }) => name).toSorted()).toEqual([...this.model.keys()].toSorted());
    expect(nodes.length).toBeLessThanOrEqual(LIMITS.nodesMax);
    for (const [name, held] of this.model) {
      const node = await findNode(this.service, SERVICE, name);
      const ids = (await store.itemIds(SERVICE, name)).map(({ id }) => id);
      expect(ids).toEqual(held.kept);
      expect(node?.stored.last?.id).toBe(held.last);
      expect(node?.subscriptions.length).toBeLessThanOrEqual(LIMITS.subscriptionsMax);
      expect(node?.affiliations.size).toBeLessThanOrEqual(LIMITS.affiliationsMax);
      for (const { jid } of node?.subscriptions ?? []) {
        expect(node?.affiliations.get(jid)).not.toBe("outcast");
      }
    }
  }
}

describe("any series of requests", () => {
  test.each(Array.from({ length: 20 }, (_, seed) => seed))(
    "leaves the nodes as they should be, and a refusal changes nothing (seed %i)",
    async (seed) => {
      const play = new Play(seed);
      for (let step = 0; step < 150; step += 1) await play.step();
      // The series are worth something: items came and went, and somebody was told.
      expect(play.told.length).toBeGreaterThan(10);
    },
  );
});
