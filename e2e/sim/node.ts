/** One life of a node: the real door, sessions, router, modules, mesh and routes, as main.ts wires them. */
import { makeDecoys } from "../../node/auth/decoys.ts";
import type { Logger } from "../../node/base/log.ts";
import type { Random } from "../../node/base/random.ts";
import type { CountedMesh } from "../../node/mesh/mesh.ts";
import { openMesh } from "../../node/mesh/mesh.ts";
import type { MeshSocket, Wires } from "../../node/mesh/wires.ts";
import { MODULES } from "../../node/modules/index.ts";
import type { OpenedRouter } from "../../node/modules/open-router.ts";
import { openRouter } from "../../node/modules/open-router.ts";
import type { Claim, NodeRecord, RouteSet, RoutesEvents } from "../../node/routes/contract.ts";
import type { EtcdRoutes } from "../../node/routes/etcd.ts";
import { openEtcdRoutes } from "../../node/routes/etcd.ts";
import type { SessionTable } from "../../node/session/contract.ts";
import type { ClientDoor } from "../../node/session/door.ts";
import { openClientDoor } from "../../node/session/door.ts";
import type { Credentials } from "../../node/stores/contract.ts";
import type { Gate } from "../../node/stream/contract.ts";
import { Connection, Flusher } from "../../node/stream/tcp.ts";
import { TcpTransport } from "../../node/stream/tcp-transport.ts";
import { SimEtcdClient } from "./etcd-client.ts";
import { Outstanding } from "./outstanding.ts";
import type { Setting } from "./setting.ts";
import type { Place } from "./wire.ts";
import { Wire } from "./wire.ts";
import { MachineClock } from "./world.ts";

export const DOMAIN = "capulet.example";
const GUESTS = "guests.capulet.example";
export const LEASE_SECONDS = 5;
export const RESUME_SECONDS = 20;
const ETCD_REQUEST_MS = 1_500;
/** A client that pings finds out that its node is gone. */
const CLIENT_NOTICES_MS = 12_000;
const NODE_LATENCY = { leastMs: 0.2, mostMs: 4 };
const SECRET = Buffer.from("known to all nodes of the simulation");
const NO_SESSIONS: SessionTable = {
  size: 0,
  get: () => undefined,
  ofUser: () => [],
  all: () => [],
};

interface Deferred {
  readonly work: () => void;
  readonly isTimer: boolean;
}

export class SimNode implements Place {
  /** Of the slot it runs in, and which life there. */
  readonly machine: string;
  readonly clock: MachineClock;
  readonly etcd: SimEtcdClient;
  readonly #setting: Setting;
  readonly #random: Random;
  readonly #wires = new Set<Wire>();
  readonly #claims = new Set<Claim>();
  readonly #outstanding: Outstanding;
  #isAlive = true;
  #isPaused = false;
  #isServing = false;
  #deferred: Deferred[] = [];
  /** Steps that others see until it dies of one; endless if undefined. */
  #fuse: number | undefined;
  #door: ClientDoor | undefined;
  #gate: Gate | undefined;
  #opened: OpenedRouter | undefined;
  readonly #isReady = Promise.withResolvers<OpenedRouter["router"]>();
  #mesh: CountedMesh | undefined;
  #routes: EtcdRoutes | undefined;
  #onMeshPeer: ((socket: MeshSocket) => void) | undefined;

  constructor(machine: string, setting: Setting) {
    this.machine = machine;
    this.#setting = setting;
    const { world, network, model, etcdHealth } = setting;
    this.#random = world.random();
    this.#outstanding = new Outstanding(world);
    this.clock = new MachineClock(world, (work) => this.#enter(work, true));
    this.etcd = new SimEtcdClient({
      world,
      network,
      model,
      health: etcdHealth,
      place: this,
      clock: this.clock,
      requestTimeoutMs: ETCD_REQUEST_MS,
    });
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Clients and nodes can reach it. */
  get isServing(): boolean {
    return this.#isAlive && this.#isServing;
  }

  get sessions(): SessionTable {
    return this.#door?.sessions ?? NO_SESSIONS;
  }

  get parts() {
    return {
      door: this.#door,
      router: this.#opened?.router,
      mesh: this.#mesh,
      routes: this.#routes,
      counts: this.#opened?.counts,
    };
  }

  /** What it has asked other nodes for longer than it may; it does nothing while it stands still. */
  get overdue(): string | undefined {
    return this.#isPaused ? undefined : this.#outstanding.overdue;
  }

  /** The claims it holds, as far as it knows. */
  get claims(): readonly Claim[] {
    return [...this.#claims].filter(({ isHeld }) => isHeld);
  }

  enter(work: () => void): void {
    this.#enter(work, false);
  }

  step(): void {
    if (this.#fuse === undefined || !this.#isAlive) return;
    this.#fuse -= 1;
    if (this.#fuse <= 0) this.kill("at a step");
  }

  async start(): Promise<void> {
    const { world } = this.#setting;
    const self: NodeRecord = {
      incarnation: this.machine,
      name: this.machine,
      meshHost: this.machine,
      meshPort: 1,
      version: "0.0.0-sim",
      zone: "sim",
    };
    this.#mesh = await openMesh({
      host: this.machine,
      port: 0,
      self,
      tls: { authority: "", certificate: "", key: "" },
      serverName: "node",
      clock: this.clock,
      log: this.#log,
      wires: this.#meshWires,
      onRefused: (node) => this.#routes?.refused(node),
      onFrame: (from, kind, payload) => {
        if (this.#opened !== undefined) return this.#opened.router.onFrame(from, kind, payload);
        return this.#isReady.promise.then((router) => router.onFrame(from, kind, payload));
      },
    });
    this.#outstanding.follow(this.#mesh);
    this.#routes = await this.#openRoutes(self);
    this.#opened = this.#openRouter();
    this.#isReady.resolve(this.#opened.router);
    this.#door = await this.#openDoor(this.#opened);
    this.#isServing = this.#isAlive;
    if (this.#isAlive) world.say(`${this.machine} is serving`);
  }

  /** A client connects. */
  accept(wire: Wire): void {
    this.#wires.add(wire);
    const door = this.#door;
    const gate = this.#gate;
    if (door === undefined || gate === undefined || gate.admit(wire.remoteAddress) !== undefined) {
      wire.destroy();
      return;
    }
    const socket = wire as unknown as ConstructorParameters<typeof Connection>[0];
    const connection = new Connection(socket, this.#flusher, door.limits.waitingBytesMax);
    gate.onTransport(new TcpTransport(connection, door.limits));
  }

  /** SIGKILL: the system closes its connections. */
  kill(how: string): void {
    if (!this.#isAlive) return;
    this.#setting.world.say(`${this.machine} dies ${how}`);
    this.#setting.onDeath(this);
    this.#die();
    for (const wire of this.#wires) wire.break();
    this.etcd.breakStreams();
  }

  /** The machine is off: nobody hears of it. */
  vanish(): void {
    if (!this.#isAlive) return;
    this.#setting.onDeath(this);
    this.#setting.network.remove(this.machine);
    this.#die();
    for (const wire of this.#wires) wire.vanish(CLIENT_NOTICES_MS);
  }

  /** It dies of one of the next steps that others see. */
  light(steps: number): void {
    this.#fuse = steps;
  }

  pause(): void {
    this.#isPaused = true;
  }

  goOn(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#outstanding.goOn();
    const deferred = this.#deferred;
    this.#deferred = [];
    // As in the event loop: what fell due first, then what has arrived.
    const byKind = [
      ...deferred.filter((one) => one.isTimer),
      ...deferred.filter((one) => !one.isTimer),
    ];
    for (const { work, isTimer } of byKind) {
      this.#setting.world.after(0, () => this.#enter(work, isTimer));
    }
  }

  /** SIGTERM. */
  async drain(): Promise<void> {
    await this.#door?.drain({ perSecond: 2, deadlineMs: 15_000 });
    await this.#routes?.[Symbol.asyncDispose]();
    await this.#mesh?.[Symbol.asyncDispose]();
    this.#die();
    for (const wire of this.#wires) wire.break();
  }

  /** A peer's end of a connection to this node. */
  acceptPeer(wire: Wire): void {
    this.#wires.add(wire);
    this.#onMeshPeer?.(wire as unknown as MeshSocket);
  }

  readonly #flusher = new Flusher();

  #die(): void {
    this.#setting.onGone(this);
    this.#isAlive = false;
    this.#isServing = false;
    this.#deferred = [];
  }

  #enter(work: () => void, isTimer: boolean): void {
    if (!this.#isAlive) return;
    if (this.#isPaused) this.#deferred.push({ work, isTimer });
    else work();
  }

  get #log(): Logger {
    const note = (fields: object, event: string) => this.#setting.onError(this, fields, event);
    const log: Logger = { debug() {}, info() {}, warn() {}, error: note, child: () => log };
    return log;
  }

  get #meshWires(): Wires {
    const { world, network } = this.#setting;
    return {
      dial: ({ meshHost }) => {
        const peer = this.#setting.nodeAt(meshHost);
        const there: Place = peer ?? { machine: meshHost, enter() {}, step() {} };
        const [here] = Wire.pair(world, network, [this, there], NODE_LATENCY);
        this.#wires.add(here);
        here.open(peer?.isAlive ? (wire) => peer.acceptPeer(wire) : undefined);
        return here as unknown as MeshSocket;
      },
      listen: async (_address, _settings, events) => {
        this.#onMeshPeer = (socket) => events.onPeer(socket);
        return {
          port: 1,
          close: () => {
            this.#onMeshPeer = undefined;
          },
        };
      },
    };
  }

  async #openRoutes(self: NodeRecord): Promise<EtcdRoutes> {
    const mesh = this.#mesh;
    const events: RoutesEvents = {
      onNodeUp: (node) => {
        mesh?.addPeer(node);
        this.#opened?.router.onNodeUp(node);
      },
      onNodeLapsed: (node) => this.#opened?.router.onNodeLapsed(node),
      onNodeBack: (node) => this.#opened?.router.onNodeBack(node),
      onNodeDown: (node) => {
        mesh?.removePeer(node.incarnation);
        this.#opened?.router.onNodeDown(node);
      },
      onNotice: (user) => this.#opened?.router.onNotice(user),
      onRouteLost: (route, holder) => this.#opened?.router.onRouteLost(route, holder),
      onLeaseLost: () => {
        this.#setting.world.say(`${this.machine} has lost its lease`);
        this.#opened?.router.onLeaseLost();
      },
      onLeaseRegained: () => {
        this.#setting.world.say(`${this.machine} has a lease again`);
        this.#opened?.router.onLeaseRegained();
      },
    };
    const routes = await openEtcdRoutes({
      self,
      endpoints: [],
      prefix: "/zonda/",
      leaseSeconds: LEASE_SECONDS,
      requestTimeoutMs: ETCD_REQUEST_MS,
      cacheUsersMax: 1_000,
      clock: this.clock,
      random: this.#random,
      log: this.#log,
      events,
      connect: () => this.etcd.face,
      notifySiblings: (to: string, user: string, set: RouteSet) =>
        this.#opened?.router.errands.notifySiblings(to, user, set),
      askOwnRoutes: async (node, user) =>
        (await this.#opened?.router.errands.ownRoutes(node, user)) ?? "gone",
      isRefused: async (via, node) =>
        (await this.#opened?.router.errands.isRefused(via, node)) ?? false,
    });
    return this.#watchClaims(routes);
  }

  /** Remembers the claims, so that it can be seen that each has one holder. */
  #watchClaims(routes: EtcdRoutes): EtcdRoutes {
    const take = routes.claim.bind(routes);
    routes.claim = async (name) => {
      const claim = await take(name);
      if (claim === undefined) return undefined;
      this.#claims.add(claim);
      const release = claim[Symbol.asyncDispose].bind(claim);
      claim[Symbol.asyncDispose] = () => {
        this.#claims.delete(claim);
        return release();
      };
      return claim;
    };
    return routes;
  }

  #openRouter(): OpenedRouter {
    return openRouter({
      domains: [DOMAIN, GUESTS],
      guestDomains: [GUESTS],
      stores: this.#setting.store.of(this),
      routes: this.#routes as EtcdRoutes,
      mesh: this.#mesh,
      sessions: () => this.sessions,
      adopt: async (...session) => (await this.#door?.adopt(...session)) ?? "again",
      clock: this.clock,
      random: this.#random,
      log: this.#log,
      modules: MODULES,
      options: {},
      selfIncarnation: this.machine,
      software: { name: "Zonda", version: "0.0.0-sim" },
      credentialsFor: async () => ({}) as Credentials,
    });
  }

  #openDoor(opened: OpenedRouter): Promise<ClientDoor> {
    const { accounts } = this.#setting.store.of(this);
    return openClientDoor({
      config: {
        host: this.machine,
        port: 0,
        tls: "offered",
        plaintextAuthOnLoopback: true,
        stanzaBytesMax: 262_144,
        connectionsMax: 1_000,
        connectionsPerAddressMax: 0,
        failedLoginsPerAddressPerMinute: 0,
        failedLoginsPerAccountPerMinute: 0,
        negotiationSeconds: 30,
        outboxStanzasMax: 1_000,
        resumeSeconds: RESUME_SECONDS,
        detachedMax: 1_000,
      },
      domains: new Set([DOMAIN, GUESTS]),
      anonymousDomains: [GUESTS],
      accounts,
      routes: this.#routes as EtcdRoutes,
      events: opened.router,
      announced: opened.announced,
      inline: opened.inline,
      clock: this.clock,
      random: this.#random,
      log: this.#log,
      tls: undefined,
      selfIncarnation: this.machine,
      scramIterations: 1,
      decoys: makeDecoys({ secret: SECRET, areSomeOlder: true, iterations: 1 }),
      resourceSecret: SECRET,
      listen: async ({ gate }) => {
        this.#gate = gate;
        return {
          port: 1,
          close: () => {
            this.#gate = undefined;
          },
        };
      },
    });
  }
}
