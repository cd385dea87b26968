/**
 * What grows with the number of nodes, counted in simulated clusters: operations of etcd, changes that it tells, frames
 * between nodes. Counts of the nodes' own code: they are the same on any machine.
 */
import { setFlagsFromString } from "node:v8";
import { progress } from "../harness/progress.ts";
import type { Device } from "../sim/device.ts";
import type { SimNode } from "../sim/node.ts";
import type { Figures } from "./figures.ts";
import type { Done } from "./simulated.ts";
import { SimulatedCluster } from "./simulated.ts";

export interface GrowthSettings {
  readonly nodes: readonly number[];
  /** Of the node that dies, in small clusters. */
  readonly sessions: number;
}

/** Who logs in and speaks, at any node. */
const PEOPLE = 100;
/** Contacts of each who are online, a half on either side, and of those who are not. */
const FRIENDS = 14;
const ABSENT = 16;
const MESSAGES = 10;
/** A thousand nodes are some gigabytes. */
const HEAP_MIB = 10_000;
/** Each session of a node that dies asks all others: in big clusters it has fewer, or it would take hours. */
const QUESTIONS_MAX = 100_000;
const BETWEEN_MS = 20;
const ROUND_MS = 1_000;
const SETTLED_MS = 5_000;
/** A lease lapses, and what follows is counted, too. */
const AFTER_MS = 15_000;

const ROWS: readonly (readonly [keyof Done, string])[] = [
  ["etcdReads", "etcd: reads"],
  ["etcdWrites", "etcd: writes"],
  ["etcdTransactions", "etcd: transactions"],
  ["watched", "etcd: changes told to nodes"],
  ["frames", "frames between nodes"],
];

class Growth {
  readonly #cluster = new SimulatedCluster();
  readonly #figures: Figures;
  readonly #column: string;
  #before: Done;

  constructor(nodes: number, figures: Figures) {
    this.#figures = figures;
    this.#column = `${nodes} nodes`;
    this.#before = this.#cluster.done;
  }

  async measure(nodes: number, sessions: number): Promise<void> {
    const cluster = this.#cluster;
    await cluster.join(nodes - 1);
    await this.#settle();
    await cluster.join(1);
    this.#put("A node joins", 1);
    await this.#settle();
    await cluster.pass(SETTLED_MS);
    const { keepalives } = this.#before;
    const perSecond = (cluster.done.keepalives - keepalives) / (SETTLED_MS / 1_000);
    this.#say("Nodes idle, etcd: keepalives a second", perSecond);
    const [doomed] = cluster.nodes;
    const others = cluster.nodes.filter((node) => node !== doomed);
    const people = await this.#logins(others);
    await this.#messages(people);
    await this.#death(doomed as SimNode, others, sessions);
    await this.#loginsAfter(others);
    this.#say("Connections between nodes, those of the dead one too", cluster.links);
  }

  async #logins(nodes: readonly SimNode[]): Promise<readonly Device[]> {
    const cluster = this.#cluster;
    const users = Array.from({ length: PEOPLE }, (_, at) => cluster.addUser(`user${at}`));
    const befriend = (one: string, other: string) => cluster.store.memory.befriend(one, other);
    for (const [at, user] of users.entries()) {
      for (let next = 1; next <= FRIENDS / 2; next += 1) {
        befriend(user, users[(at + next) % PEOPLE] as string);
      }
      for (let next = 0; next < ABSENT; next += 1) {
        befriend(user, cluster.addUser(`absent${at}of${next}`));
      }
    }
    const people = await this.#come(users, nodes);
    this.#put("Login", PEOPLE);
    return people;
  }

  async #messages(people: readonly Device[]): Promise<void> {
    const cluster = this.#cluster;
    await this.#settle();
    for (let round = 1; round <= MESSAGES; round += 1) {
      for (const [at, device] of people.entries()) {
        device.speak((people[(at + 1) % PEOPLE] as Device).user);
      }
      await cluster.pass(ROUND_MS);
    }
    const isThere = () =>
      [...cluster.ledger.said.values()].every(({ copies }) => copies.length > 0);
    await cluster.until("all messages are there", isThere);
    await cluster.pass(SETTLED_MS);
    this.#put("Message", PEOPLE * MESSAGES);
  }

  async #death(doomed: SimNode, others: readonly SimNode[], sessions: number): Promise<void> {
    const cluster = this.#cluster;
    const users = Array.from({ length: sessions }, (_, at) => cluster.addUser(`doomed${at}`));
    const devices = await this.#come(users, [doomed], others);
    await this.#settle();
    doomed.kill("as it is asked for");
    await cluster.until("all are back", () =>
      devices.every((one) => one.isBound && one.node !== doomed),
    );
    await cluster.pass(AFTER_MS);
    this.#say("Death, sessions of the node", sessions);
    this.#say("Death, of them resumed", devices.filter(({ moved }) => moved.size > 0).length);
    const { missed, missedTurns } = this.#before;
    this.#say("Death, questions of what was missed", cluster.done.missed - missed);
    this.#say("Death, turns that ask them of a node", cluster.done.missedTurns - missedTurns);
    this.#put("Death", 1);
  }

  /** While the others remember that a node has died. */
  async #loginsAfter(nodes: readonly SimNode[]): Promise<void> {
    const users = Array.from({ length: PEOPLE }, (_, at) => this.#cluster.addUser(`late${at}`));
    await this.#settle();
    await this.#come(users, nodes);
    this.#put("Login without contacts, within a minute of it", PEOPLE);
  }

  /** @param later where they go when the first nodes are not there any more */
  async #come(users: readonly string[], first: readonly SimNode[], later: readonly SimNode[] = []) {
    const cluster = this.#cluster;
    await this.#settle();
    const nodes = () => (first.some(({ isAlive }) => isAlive) ? first : later);
    const devices: Device[] = [];
    for (const user of users) {
      const device = cluster.device(user, nodes);
      devices.push(device);
      device.come();
      await cluster.pass(BETWEEN_MS);
    }
    await cluster.until("all are there", () =>
      devices.every(({ announced }) => announced !== undefined),
    );
    await cluster.pass(SETTLED_MS);
    return devices;
  }

  async #settle(): Promise<void> {
    await this.#cluster.pass(SETTLED_MS);
    this.#before = this.#cluster.done;
  }

  #say(what: string, value: number): void {
    this.#figures.put(what, this.#column, value);
  }

  #put(what: string, times: number): void {
    const { done } = this.#cluster;
    for (const [key, name] of ROWS) {
      this.#say(`${what}, ${name}`, (done[key] - this.#before[key]) / times);
    }
  }
}

export async function growth({ nodes, sessions }: GrowthSettings, figures: Figures): Promise<void> {
  setFlagsFromString(`--max-old-space-size=${HEAP_MIB}`);
  for (const count of nodes) {
    const done = progress(`${count} simulated nodes`);
    await new Growth(count, figures).measure(
      count,
      Math.min(sessions, Math.ceil(QUESTIONS_MAX / count)),
    );
    done();
  }
}
