/** All machines of one story, and the people who use them. */

import { Device } from "./device.ts";
import type { EtcdHealth } from "./etcd-client.ts";
import { EtcdModel } from "./etcd-model.ts";
import type { Copy, Said, Session } from "./ledger.ts";
import { Ledger } from "./ledger.ts";
import { Network } from "./network.ts";
import { DOMAIN, SimNode } from "./node.ts";
import type { Setting } from "./setting.ts";
import { SimStore } from "./store.ts";
import { World } from "./world.ts";

const NAMES = ["romeo", "juliet", "nurse", "tybalt", "paris"];

export interface Broken {
  readonly invariant: string;
  readonly why: string;
}

/** The code that nodes run; each life of a node is of one of them. */
export type Release = typeof SimNode;

/** A node's place: one life after the other. */
interface Slot {
  readonly name: string;
  lives: number;
  node: SimNode;
}

export class SimCluster implements Setting {
  readonly world: World;
  readonly network: Network;
  readonly model: EtcdModel;
  readonly etcdHealth: EtcdHealth = { lostReplies: 0, isAway: false };
  readonly store: SimStore;
  readonly ledger = new Ledger();
  readonly devices: Device[] = [];
  readonly users: readonly string[];
  readonly broken: Broken[] = [];
  /** Invariants that are not checked: see UNHELD. */
  unheld: ReadonlySet<string> = new Set();
  /** No node dies while another's death may not have been got over. */
  isOneAtATime = false;
  readonly #slots: Slot[] = [];
  readonly #releases: readonly Release[];
  readonly #nodes = new Map<string, SimNode>();
  #onMessage: (device: Device, said: Said, copy: Copy) => void = () => {};
  #onThere: (device: Device) => void = () => {};
  #onDeath: (node: SimNode) => void = () => {};
  #onGone: (node: SimNode) => void = () => {};
  #onLeftLate: (node: SimNode) => void = () => {};

  constructor(
    seed: number,
    { nodes, users, devices }: Record<"nodes" | "users" | "devices", number>,
    releases: readonly Release[] = [SimNode],
  ) {
    this.#releases = releases;
    this.world = new World(seed);
    this.network = new Network(this.world);
    this.model = new EtcdModel(this.world);
    this.store = new SimStore(this.world, this.network);
    this.users = NAMES.slice(0, users).map((name) => `${name}@${DOMAIN}`);
    for (const user of this.users) {
      this.store.addUser(user);
      for (const other of this.users) if (other < user) this.store.memory.befriend(user, other);
      for (let index = 1; index <= devices; index += 1) this.#addDevice(user, `device${index}`);
    }
    for (let index = 1; index <= nodes; index += 1) {
      const name = `n${index}`;
      this.#slots.push({ name, lives: 0, node: this.#make(name, 0) });
    }
    for (const slot of this.#slots) this.#start(slot);
  }

  /** Every life of every node that still runs. */
  get alive(): readonly SimNode[] {
    return this.#slots.map(({ node }) => node).filter(({ isAlive }) => isAlive);
  }

  nodeAt(machine: string): SimNode | undefined {
    return this.#nodes.get(machine);
  }

  listen(events: {
    onMessage(device: Device, said: Said, copy: Copy): void;
    onThere(device: Device): void;
    onDeath(node: SimNode): void;
    onGone(node: SimNode): void;
    /** The deadline of its drain passed before it had passed on everything; it said so. */
    onLeftLate(node: SimNode): void;
  }): void {
    this.#onMessage = (...message) => events.onMessage(...message);
    this.#onThere = (device) => events.onThere(device);
    this.#onDeath = (node) => events.onDeath(node);
    this.#onGone = (node) => events.onGone(node);
    this.#onLeftLate = (node) => events.onLeftLate(node);
  }

  onDeath(node: SimNode): void {
    this.#onDeath(node);
  }

  onGone(node: SimNode): void {
    this.#onGone(node);
  }

  onError(node: SimNode, fields: object, event: string): void {
    const { err, reason } = fields as { err?: unknown; reason?: unknown };
    const why = err instanceof Error ? `${err.name}: ${err.message}` : String(reason ?? "");
    this.world.say(`${node.machine} logs an error: ${event} (${why})`);
    if (event === "drain-deadline-passed") this.#onLeftLate(node);
    const isOfOurs = err instanceof Error && !("code" in err);
    if (isOfOurs) this.#break("errors", `${node.machine}: ${event}: ${err.stack}`);
  }

  break(invariant: string, why: string): void {
    this.#break(invariant, why);
  }

  /** The next life of a node that is gone. */
  restart(dead: SimNode): void {
    const slot = this.#slots.find(({ node }) => node === dead);
    if (slot === undefined || dead.isAlive) return;
    slot.lives += 1;
    slot.node = this.#make(slot.name, slot.lives);
    this.#start(slot);
  }

  #make(name: string, lives: number): SimNode {
    const machine = `${name}.${lives}`;
    const [one = SimNode, ...others] = this.#releases;
    // Chance is asked only where there is a choice: a seed tells the same story as ever.
    const Made = others.length === 0 ? one : (this.world.pick(this.#releases) ?? one);
    const node = new Made(machine, this);
    if (others.length > 0)
      this.world.say(`${machine} is of release ${this.#releases.indexOf(Made)}`);
    this.#nodes.set(machine, node);
    return node;
  }

  /** As a pod does it: whoever cannot start is started again. */
  #start(slot: Slot): void {
    const { node } = slot;
    node.start().catch((error: Error) => {
      this.world.say(`${node.machine} cannot start: ${error.message}`);
      node.kill("at its start");
      this.world.after(1_000, () => this.restart(node));
    });
  }

  /** The sessions of a user that others know of. */
  #announced(user: string): readonly Session[] {
    return this.devices.flatMap((one) => (one.user === user ? (one.announced ?? []) : []));
  }

  #addDevice(user: string, name: string): void {
    const device = new Device(user, name, this, {
      ledger: this.ledger,
      nodes: () => this.#slots.map(({ node }) => node),
      awaited: (toUser) => this.#announced(toUser),
      events: {
        onBroken: (invariant, why) => this.#break(invariant, why),
        onMessage: (...message) => this.#onMessage(...message),
        onThere: (there) => this.#onThere(there),
      },
    });
    this.devices.push(device);
  }

  #break(invariant: string, why: string): void {
    if (this.unheld.has(invariant)) return;
    this.world.say(`!! ${invariant}: ${why}`);
    this.broken.push({ invariant, why });
  }
}
