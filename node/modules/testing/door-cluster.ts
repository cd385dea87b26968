/** Nodes in one process with real doors, sessions and routers, over shared routes and a mesh. */
import { makeCredentials } from "../../auth/credentials.ts";
import type { Clock } from "../../base/clock.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { systemRandom } from "../../base/random.ts";
import type { Router } from "../../router/router.ts";
import type { Kit } from "../../session/testing/door-kit.ts";
import { logIn, openKit } from "../../session/testing/door-kit.ts";
import type { RawClient } from "../../session/testing/raw-client.ts";
import type { Credentials } from "../../stores/contract.ts";
import { MODULES } from "../index.ts";
import { openRouter } from "../open-router.ts";
import type { Losses, MeshEnd } from "./memory-mesh.ts";
import { MemoryMesh } from "./memory-mesh.ts";
import { MemoryStores } from "./memory-stores.ts";
import { NodeRoutes, record, SharedRoutes } from "./shared-routes.ts";
import { Weather } from "./weather.ts";

const ACKS = "urn:xmpp:sm:3";

export interface DoorNode {
  readonly name: string;
  readonly kit: Kit;
  readonly router: Router;
  readonly routes: NodeRoutes;
  readonly mesh: MemoryMesh;
  isAlive: boolean;
  readonly die: () => void;
}

export interface Resumable {
  readonly client: RawClient;
  readonly id: string;
  readonly address: string;
}

export class DoorCluster implements AsyncDisposable {
  readonly weather = new Weather(1, true);
  readonly shared = new SharedRoutes(this.weather);
  readonly stores: MemoryStores;
  readonly clock: Clock;
  readonly losses: Losses = { request: 0, answer: 0, inARowMax: 1 };
  readonly nodes: DoorNode[] = [];
  readonly #ends = new Map<string, MeshEnd>();

  constructor(clock: Clock = systemClock) {
    this.clock = clock;
    this.stores = new MemoryStores(this.weather, () => clock.nowMs());
  }

  static async open(count: number, clock?: Clock): Promise<DoorCluster> {
    const cluster = new DoorCluster(clock);
    for (let index = 1; index <= count; index += 1) await cluster.add(`node-${index}`);
    return cluster;
  }

  async add(name: string): Promise<DoorNode> {
    const { weather, shared, losses, clock } = this;
    const died = Promise.withResolvers<void>();
    const isLive = () => node.isAlive;
    const mesh = new MemoryMesh(name, this.#ends, { weather, losses, isLive });
    const routes = new NodeRoutes({
      shared,
      weather,
      self: name,
      isLive,
      notify: (to, user, set) => router.errands.notifySiblings(to, user, set),
      onRouteLost: (route, holder) => router.onRouteLost(route, holder),
    });
    const { router } = openRouter({
      domains: ["localhost"],
      guestDomains: [],
      stores: this.stores.of(isLive),
      routes,
      mesh,
      sessions: () => node.kit.door.sessions,
      adopt: (...session) => node.kit.door.adopt(...session),
      clock,
      random: systemRandom,
      log: silentLog,
      modules: MODULES,
      options: {},
      selfIncarnation: name,
      software: { name: "Zonda", version: "0.0.0-test" },
      credentialsFor: async (password) => ({ password }) as unknown as Credentials,
    });
    const kit = await openKit({ routes, events: router, selfIncarnation: name, clock });
    const die = () => {
      node.isAlive = false;
      died.resolve();
    };
    const node: DoorNode = { name, kit, router, routes, mesh, isAlive: true, die };
    this.#ends.set(name, {
      isAlive: isLive,
      died: died.promise,
      onFrame: (...frame) => router.onFrame(...frame),
    });
    for (const other of this.nodes) {
      for (const [one, two] of [
        [node, other],
        [other, node],
      ] as const) {
        one.routes.nodes.set(two.name, record(two.name));
        one.router.onNodeUp(record(two.name));
      }
    }
    this.nodes.push(node);
    for (const user of this.#users) await this.#know(node, user);
    return node;
  }

  readonly #users = new Set<string>();

  /** An account that can log in on every node, with the password "secret". */
  async addUser(name: string): Promise<string> {
    const address = `${name}@localhost`;
    this.#users.add(address);
    this.stores.addUser(address);
    for (const node of this.nodes) await this.#know(node, address);
    return address;
  }

  async #know({ kit }: DoorNode, address: string): Promise<void> {
    kit.accounts.users.set(address, await makeCredentials("secret", { iterations: 4_096 }));
  }

  node(index: number): DoorNode {
    return this.nodes[index] as DoorNode;
  }

  /** The process is gone; nobody knows yet. */
  kill(index: number): void {
    this.node(index).die();
  }

  /** The lease of a dead node lapses: its routes go, and those nodes are told. */
  expire(index: number, told: readonly DoorNode[] = this.nodes): void {
    const { name } = this.node(index);
    this.shared.expire(name);
    for (const { name: other, isAlive, routes, router } of told) {
      if (!isAlive || other === name) continue;
      routes.forget(name);
      router.onNodeDown(record(name));
    }
  }

  /** A client that is online, with a session that it can resume. */
  async online(index: number, name: string, resource = "device"): Promise<Resumable> {
    const bound = await this.bound(index, name, resource);
    bound.client.send("<presence/>");
    await bound.client.read(/<presence[^>]*>/);
    return bound;
  }

  /** The same before its first presence. */
  async bound(index: number, name: string, resource = "device"): Promise<Resumable> {
    const client = await this.authenticated(index, name);
    await client.bind(resource);
    client.send(`<enable xmlns='${ACKS}' resume='true'/>`);
    const enabled = await client.read(/<enabled[^>]*>/);
    const id = / id='([^']*)'/.exec(enabled)?.[1] ?? "";
    return { client, id, address: `${name}@localhost/${resource}` };
  }

  async authenticated(index: number, name: string): Promise<RawClient> {
    const client = await this.node(index).kit.connect();
    await logIn(client, name);
    return client;
  }

  /** What a `<resume/>` on that node is answered: `<resumed/>`, `<failed/>` or a stream error. */
  async resume(index: number, name: string, id: string, h: number) {
    const client = await this.authenticated(index, name);
    client.send(`<resume xmlns='${ACKS}' previd='${id}' h='${h}'/>`);
    const answer = await client.read(/<resumed[^>]*>|<\/failed>|<\/stream:error>/);
    return { client, answer };
  }

  /** Until nothing moves any more. */
  async settle(): Promise<void> {
    for (let turns = 0; turns < 60; turns += 1) {
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { kit } of this.nodes) await kit[Symbol.asyncDispose]();
  }
}
