/** Many nodes in one process: routers with all modules over shared routes, stores and a mesh. */
import { FakeClock } from "../../base/fake-clock.ts";
import { silentLog } from "../../base/log.ts";
import type { Router } from "../../router/router.ts";
import type { Route } from "../../routes/contract.ts";
import type { Envelope } from "../../stanza/contract.ts";
import { Jid } from "../../stanza/jid.ts";
import type { Credentials } from "../../stores/contract.ts";
import { parseStanza } from "../../xml/parser.ts";
import type { Module, Uploads } from "../contract.ts";
import { MODULES } from "../index.ts";
import type { OpenedRouter } from "../open-router.ts";
import { openRouter } from "../open-router.ts";
import { newTable, TestSession } from "./client.ts";
import { TestComponent } from "./component.ts";
import type { Losses, MeshEnd } from "./memory-mesh.ts";
import { MemoryMesh } from "./memory-mesh.ts";
import { MemoryStores } from "./memory-stores.ts";
import { NodeRoutes, record, SharedRoutes } from "./shared-routes.ts";
import { seeded, Weather } from "./weather.ts";

export const DOMAIN = "capulet.example";
export const GUESTS = "guests.capulet.example";
const SCOPE = new Map([["", "jabber:client"]]);

export interface ClusterOptions {
  readonly nodes?: number;
  readonly seed?: number;
  /** Without weather everything happens in the order it was started. */
  readonly isCalm?: boolean;
  readonly losses?: Partial<Losses>;
  readonly modules?: readonly Module[];
  readonly options?: Readonly<Record<string, unknown>>;
  readonly uploads?: Uploads | undefined;
  /** Domains of external components. */
  readonly components?: readonly string[];
}

export class TestNode {
  readonly name: string;
  readonly sessions = newTable();
  /** By full address. */
  readonly components = new Map<string, TestComponent>();
  readonly routes: NodeRoutes;
  readonly mesh: MemoryMesh;
  readonly router: Router;
  /** What a client may ask for while its resource is bound. */
  readonly inline: OpenedRouter["inline"];
  /** What it is told when that is along with its login. */
  readonly boundNotes: OpenedRouter["boundNotes"];
  isAlive = true;
  /** What can wait is refused. */
  isBehind = false;
  readonly #cluster: Cluster;
  readonly #died = Promise.withResolvers<void>();

  constructor(name: string, cluster: Cluster, options: ClusterOptions) {
    this.name = name;
    this.#cluster = cluster;
    const { weather, shared, ends, losses } = cluster;
    const isLive = () => this.isAlive;
    this.mesh = new MemoryMesh(name, ends, { weather, losses, isLive });
    this.routes = new NodeRoutes({
      shared,
      weather,
      self: name,
      isLive,
      notify: (node, user, set) => this.router.errands.notifySiblings(node, user, set),
    });
    const opened = openRouter({
      domains: [DOMAIN, GUESTS],
      guestDomains: [GUESTS],
      stores: cluster.stores.of(isLive),
      routes: this.routes,
      mesh: this.mesh,
      sessions: () => this.sessions,
      components: {
        domains: new Set(options.components),
        table: () => this.components,
      },
      clock: cluster.clock,
      random: { bytes: cluster.bytes, fraction: weather.fraction },
      log: silentLog,
      modules: options.modules ?? MODULES,
      options: options.options ?? {},
      uploads: options.uploads,
      isBehind: () => this.isBehind,
      selfIncarnation: name,
      software: { name: "Zonda", version: "0.0.0-test" },
      credentialsFor: async (password) => ({ password }) as unknown as Credentials,
    });
    this.router = opened.router;
    this.inline = opened.inline;
    this.boundNotes = opened.boundNotes;
    ends.set(name, {
      isAlive: isLive,
      died: this.#died.promise,
      onFrame: (...frame) => this.router.onFrame(...frame),
    });
  }

  /** Binds a session; undefined when the node died meanwhile. */
  async login(address: string): Promise<TestSession> {
    const jid = Jid.parse(address);
    const route: Route = {
      user: jid.bare,
      resource: jid.resource,
      node: this.name,
      session: `session-${this.#cluster.nextId()}`,
      available: false,
      priority: 0,
    };
    const session = new TestSession(route, jid);
    session.onClose = () => void this.drop(session);
    const { replaced } = await this.routes.bind(route);
    // As the door does it: the table first, then the router is told.
    const before = this.sessions.get(jid.full);
    this.sessions.add(session);
    if (before !== undefined) before.close("conflict");
    this.router.onBound(session, replaced);
    return session;
  }

  /** A component connects and speaks for a domain. */
  async connect(domain: string): Promise<TestComponent> {
    const id = `component-${this.#cluster.nextId()}`;
    const component = new TestComponent(Jid.from("", domain, id), this.name);
    this.components.set(component.jid.full, component);
    await this.routes.bind(component.route);
    return component;
  }

  /** What a component sends in the name of one of its addresses. */
  async sendFrom(component: TestComponent, xml: string): Promise<void> {
    const stanza = parseStanza(Buffer.from(xml), SCOPE);
    component.sent += 1;
    const from = Jid.parse(stanza.attributes.from ?? "");
    await this.router.components.onComponentStanza(component, from, stanza, component.sent);
  }

  /** Its connection is gone; `unsent` was waiting behind a blocked write. */
  async disconnect(component: TestComponent, unsent: readonly Envelope[] = []): Promise<void> {
    this.components.delete(component.jid.full);
    await this.router.components.onComponentEnded(component, unsent);
    await this.routes.unbind(component.route);
  }

  /** What a client sends; resolves when the server accepted it. */
  async send(session: TestSession, xml: string): Promise<void> {
    session.sent += 1;
    await this.router.onStanza(session, parseStanza(Buffer.from(xml), SCOPE), session.sent);
  }

  /** The process is gone. */
  kill(): void {
    this.isAlive = false;
    this.#died.resolve();
  }

  /** The connection of a client broke; the session waits for it. */
  detach(session: TestSession): void {
    if (session.isOver || session.isDetached) return;
    session.isDetached = true;
    this.router.onDetached(session);
  }

  /** The client is back. */
  resume(session: TestSession): void {
    if (session.isOver || !session.isDetached) return;
    session.isDetached = false;
    this.router.onResumed(session);
  }

  /** The connection of a client is gone. */
  async drop(session: TestSession): Promise<void> {
    if (session.isOver) return;
    const left = session.end();
    this.sessions.remove(session);
    await this.router.onEnded(session, left);
    // The door tries again; without routes the lease is what ends it.
    await this.routes.unbind(session.route).catch(() => undefined);
  }
}

export class Cluster {
  readonly weather: Weather;
  readonly clock = new FakeClock();
  readonly shared: SharedRoutes;
  readonly stores: MemoryStores;
  readonly ends = new Map<string, MeshEnd>();
  readonly losses: Losses;
  readonly nodes: TestNode[] = [];
  #ids = 0;
  /** Its own line of chance, so that what is drawn for ids does not change the weather. */
  readonly #octets = seeded(7);

  constructor(options: ClusterOptions = {}) {
    this.weather = new Weather(options.seed ?? 1, options.isCalm ?? true);
    this.shared = new SharedRoutes(this.weather);
    this.stores = new MemoryStores(this.weather, () => this.clock.nowMs());
    this.losses = { request: 0, answer: 0, inARowMax: 1, ...options.losses };
    for (let index = 1; index <= (options.nodes ?? 2); index += 1) {
      this.nodes.push(new TestNode(`node-${index}`, this, options));
    }
    for (const node of this.nodes) {
      for (const other of this.nodes) {
        if (other === node) continue;
        node.routes.nodes.set(other.name, record(other.name));
        node.router.onNodeUp(record(other.name));
      }
    }
  }

  readonly bytes = (count: number): Buffer =>
    Buffer.from(Array.from({ length: count }, () => Math.floor(this.#octets() * 256)));

  nextId(): number {
    this.#ids += 1;
    return this.#ids;
  }

  node(index: number): TestNode {
    return this.nodes[index] as TestNode;
  }

  /** The process is gone; nobody knows yet. */
  kill(node: TestNode): void {
    node.kill();
  }

  /** The lease of a dead node lapses: its routes go, and the others are told. */
  expire(dead: TestNode): void {
    this.shared.expire(dead.name);
    for (const node of this.nodes) {
      if (!node.isAlive || node === dead) continue;
      node.routes.forget(dead.name);
      node.router.onNodeDown(record(dead.name));
    }
  }

  /** Until nothing moves any more. */
  async settle(): Promise<void> {
    if (!this.weather.isCalm) return await this.weather.settle();
    for (let turns = 0; turns < 60; turns += 1) {
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }
}
