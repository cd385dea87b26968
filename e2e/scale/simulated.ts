/**
 * A cluster of any size in one process, as the simulation has it: the nodes' own code over a simulated etcd and
 * network, in virtual time. Nothing goes wrong but what is asked for, and what is done is counted.
 */
import { FrameKind } from "../../node/mesh/contract.ts";
import { Device } from "../sim/device.ts";
import { EtcdModel } from "../sim/etcd-model.ts";
import { Ledger } from "../sim/ledger.ts";
import { Network } from "../sim/network.ts";
import { DOMAIN, SimNode } from "../sim/node.ts";
import type { Setting } from "../sim/setting.ts";
import { SimStore } from "../sim/store.ts";
import { World } from "../sim/world.ts";

const JOIN_MS = 20;
const LOOK_MS = 500;
const LOOKS_MAX = 1_000;

/** What was done since the start. */
export interface Done {
  readonly etcdReads: number;
  readonly etcdWrites: number;
  readonly etcdTransactions: number;
  readonly keepalives: number;
  /** Changes that etcd told to watchers. */
  readonly watched: number;
  /** Frames between nodes that ask for something; as many answer. */
  readonly frames: number;
  /** Of them, those that ask what a session was passed over for, and the turns in which a node asks another any. */
  readonly missed: number;
  readonly missedTurns: number;
}

export class SimulatedCluster implements Setting {
  readonly world = new World(1);
  readonly network = new Network(this.world);
  readonly model = new EtcdModel(this.world);
  readonly store = new SimStore(this.world, this.network);
  readonly etcdHealth = { lostReplies: 0, isAway: false };
  readonly ledger = new Ledger();
  readonly nodes: SimNode[] = [];
  readonly #byMachine = new Map<string, SimNode>();
  #frames = 0;
  #missed = 0;
  /** Who asked whom what was missed, and when last. */
  readonly #missedMs = new Map<string, number>();
  #missedTurns = 0;

  nodeAt(machine: string): SimNode | undefined {
    return this.#byMachine.get(machine);
  }

  onDeath(): void {}

  onGone(): void {}

  onError({ machine }: SimNode, fields: object, event: string): void {
    throw new Error(`Cannot go on: ${machine} logs "${event}"`, { cause: fields });
  }

  get done(): Done {
    const { reads, writes, transactions, keepalives, watched } = this.model.done;
    return {
      ...{ etcdReads: reads, etcdWrites: writes, etcdTransactions: transactions },
      ...{ keepalives, watched },
      ...{ frames: this.#frames, missed: this.#missed, missedTurns: this.#missedTurns },
    };
  }

  /** Connections that nodes have made to others; of those that died, as it was then. */
  get links(): number {
    const open = this.nodes.map(({ parts }) => parts.mesh?.stats.linksOpen ?? 0);
    return open.reduce((sum, count) => sum + count, 0);
  }

  /** So many more nodes, one after the other, until all know each other. */
  async join(count: number): Promise<void> {
    for (let left = count; left > 0; left -= 1) {
      const node = new SimNode(`n${this.nodes.length + 1}`, this);
      this.nodes.push(node);
      this.#byMachine.set(node.machine, node);
      void node.start().then(() => this.#countFrames(node));
      await this.pass(JOIN_MS);
    }
    const others = this.nodes.filter(({ isAlive }) => isAlive).length - 1;
    const knowsAll = ({ isAlive, isServing, parts }: SimNode) =>
      !isAlive || (isServing && parts.routes?.nodes.size === others);
    await this.until("all nodes know each other", () => this.nodes.every(knowsAll));
  }

  /** Somebody who connects to one of these nodes. */
  device(user: string, nodes: () => readonly SimNode[]): Device {
    return new Device(user, "phone", this, {
      ledger: this.ledger,
      nodes,
      awaited: () => [],
      events: {
        onMessage() {},
        onThere() {},
        onBroken(invariant, why) {
          throw new Error(`Cannot go on: ${invariant} does not hold: ${why}`);
        },
      },
    });
  }

  addUser(name: string): string {
    const user = `${name}@${DOMAIN}`;
    this.store.addUser(user);
    return user;
  }

  pass(ms: number): Promise<void> {
    return this.world.run(this.world.nowMs + ms, () => undefined);
  }

  async until(what: string, isSo: () => boolean): Promise<void> {
    for (let look = 0; look < LOOKS_MAX; look += 1) {
      if (isSo()) return;
      await this.pass(LOOK_MS);
    }
    throw new Error(
      `Cannot go on: in ${LOOKS_MAX * LOOK_MS} ms it did not come to be that ${what}`,
    );
  }

  #countFrames({ machine, parts: { mesh } }: SimNode): void {
    if (mesh === undefined) return;
    const request = mesh.request.bind(mesh);
    mesh.request = (node, kind, payload) => {
      this.#frames += 1;
      if (kind === FrameKind.missed) this.#countMissed(`${machine} ${node}`);
      return request(node, kind, payload);
    };
  }

  #countMissed(pair: string): void {
    const { nowMs } = this.world;
    this.#missed += 1;
    if (this.#missedMs.get(pair) !== nowMs) this.#missedTurns += 1;
    this.#missedMs.set(pair, nowMs);
  }
}
