/** The router put together: what doors, mesh and routes call, and what modules may ask for. */
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { ComponentEvents } from "../components/contract.ts";
import type { FailedLoginReport } from "../guard/failed-logins.ts";
import type { FrameKind, Mesh } from "../mesh/contract.ts";
import { FrameKind as Frames } from "../mesh/contract.ts";
import type { Claim, NodeRecord, Route, Routes } from "../routes/contract.ts";
import type {
  ClientSession,
  Incoming,
  SessionEvents,
  SessionTable,
  Shadow,
} from "../session/contract.ts";
import { isMovable, sessionAt } from "../session/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { StanzaCondition } from "../stanza/error.ts";
import type { Origin } from "../stanza/origin.ts";
import type { Stores } from "../stores/contract.ts";
import type { ParsedStanza } from "../xml/contract.ts";
import { Acceptance } from "./accept.ts";
import { Arrivals } from "./arrivals.ts";
import { Asks } from "./asks.ts";
import { Carried } from "./carried.ts";
import { CatchUp, owners } from "./catch-up.ts";
import { ClusterView } from "./cluster.ts";
import type { ComponentsOptions } from "./components.ts";
import { FromComponents, NO_COMPONENTS } from "./components.ts";
import { Copies, copyRules } from "./copies.ts";
import { newCounters } from "./counters.ts";
import { Deliverer } from "./deliver.ts";
import { Endings } from "./ended.ts";
import { Errands } from "./errands.ts";
import { Exits } from "./exits.ts";
import { FanOut } from "./fan-out.ts";
import { encodeConflict } from "./frames.ts";
import { HandOver } from "./hand-over.ts";
import { IqTable } from "./iq.ts";
import type { Adopt, KeptAnswer } from "./keeping.ts";
import { Lanes } from "./lanes.ts";
import { Lifecycle } from "./lifecycle.ts";
import { Line } from "./line.ts";
import { Newcomers } from "./newcomers.ts";
import { PassedOver } from "./passed-over.ts";
import { Peers } from "./peers.ts";
import { Predecessors } from "./predecessors.ts";
import type { Registration } from "./registrations.ts";
import { ofKind } from "./registrations.ts";
import { Senders } from "./senders.ts";
import type { Owned } from "./stages.ts";
import { Stages } from "./stages.ts";
import { Succession } from "./succession.ts";
import { Wakes } from "./wakes.ts";

/** Stanzas of one sender to one recipient that may wait for each other. */
const LANE_TASKS_MAX = 1_000;
export interface RouterOptions {
  readonly domains: readonly string[];
  /** The same for a fast look; made of them, as they are now, if left out. */
  readonly served?: ReadonlySet<string>;
  readonly stores: Stores;
  readonly routes: Routes;
  /** Undefined for a single node. */
  readonly mesh: Mesh | undefined;
  /** Read at every use: the door is opened after the router. */
  readonly sessions: () => SessionTable;
  /** None if left out. */
  readonly components?: ComponentsOptions | undefined;
  /** What other nodes saw; nobody cares if left out. */
  readonly onFailedLogins?: (report: FailedLoginReport) => void;
  /** Goes on with a session of a dead node. Undefined: sessions have no shadows. */
  readonly adopt?: Adopt | undefined;
  /** Where this node is: shadows are rather elsewhere. */
  readonly zone?: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly selfIncarnation: string;
}

export class Router implements SessionEvents {
  readonly counters = newCounters();
  readonly #options: RouterOptions;
  readonly #acceptance: Acceptance;
  readonly #lanes = new Lanes(LANE_TASKS_MAX);
  readonly #peers: Peers;
  readonly #lifecycle: Lifecycle;
  readonly #handOver: HandOver;
  /** For the door of components. */
  readonly components: ComponentEvents;
  readonly cluster: ClusterView;
  /** For the routes and the guard. */
  readonly errands: Errands;
  readonly #line: Line;
  readonly #arrivals: Arrivals;
  readonly #endings: Endings;
  readonly #succession: Succession;
  readonly #senders: Senders;
  readonly #fanOut: FanOut;
  readonly #asks: Asks;
  readonly #wakes: Wakes;
  readonly #predecessors: Predecessors;
  readonly #newcomers: Newcomers;
  /** Its routes may be others' by now. */
  #isWithoutLease = false;
  #made = 0;

  /** @throws ConfigError when registrations contradict each other */
  constructor(options: RouterOptions, registrations: readonly Owned<Registration>[]) {
    this.#options = options;
    const { routes, clock, log, mesh, sessions, selfIncarnation: self } = options;
    const { counters } = this;
    const { domains: components, table } = options.components ?? NO_COMPONENTS;
    this.#acceptance = new Acceptance(clock);
    this.#peers = new Peers(() => routes.nodes, clock);
    const stages = new Stages(ofKind(registrations, "stage"));
    this.#lifecycle = new Lifecycle(
      ofKind(registrations, "on").map(({ registration }) => registration),
    );
    const rules = copyRules(ofKind(registrations, "copies"));
    const shadows = () => this.#succession.shadows;
    const told = { stages, copyRules: rules, sessions, components: table, counters, self };
    this.#handOver = new HandOver({ ...told, shadows, newcomers: () => this.#newcomers });
    const handOver = this.#handOver;
    this.#asks = new Asks(mesh, this.#peers, log);
    const wakeHere = (user: string) => this.#lifecycle.tell("wake", user);
    this.errands = new Errands({ routes, mesh, asks: this.#asks, wakeHere, log });
    this.#wakes = new Wakes({ clock, log, wake: (...who) => this.errands.wake(...who), shadows });
    const exits = new Exits({ self, mesh, peers: this.#peers, handOver, counters, log });
    const passedOver = new PassedOver({ self, clock, counters });
    const deliverer = new Deliverer({ routes, exits, counters, passedOver });
    this.#newcomers = new Newcomers({ routes, deliverer, clock });
    const catchUp = new CatchUp({ self, routes, mesh, deliverer, handOver, shadows, clock, log });
    const copies = new Copies({ rules, routes, deliverer, counters, log });
    this.#line = new Line({
      domains: options.served ?? new Set(options.domains),
      accounts: options.stores.accounts,
      ...{ components, routes, sessions, stages, deliverer, copies, counters, log },
      lanes: this.#lanes,
      iqs: new IqTable(ofKind(registrations, "iq")),
      wakes: this.#wakes,
      newOrigin: this.#newOrigin,
    });
    const [line, lanes, newOrigin] = [this.#line, this.#lanes, this.#newOrigin];
    this.#fanOut = new FanOut({ components, line, routes, lanes, deliverer, exits, counters, log });
    const sending = { acceptance: this.#acceptance, line, counters };
    this.components = new FromComponents({ ...sending, newOrigin });
    this.#senders = new Senders({ ...sending, routes, stages, copies, log, shadows });
    this.#endings = new Endings({ routes, handOver, line, counters, newOrigin, deliverer, clock });
    const carried = ofKind(registrations, "carried").map(({ registration }) => registration);
    this.#succession = new Succession({
      ...{ routes, mesh, peers: this.#peers, sessions, handOver, clock, log },
      ...{ endings: this.#endings, asks: this.#asks },
      carried: new Carried([...carried, owners, this.#wakes.carried], counters, log),
      adopt: options.adopt,
      zone: options.zone ?? "",
      ...{ passedOver, catchUp, deliverer, wakes: this.#wakes },
      onTakenOver: (session, from) => this.#takenOver(session, from),
    });
    this.cluster = new ClusterView(ofKind(registrations, "task"), {
      ...{ routes, mesh, clock, log },
      onSenior: (senior) => this.#logged(this.#lifecycle.tell("senior", senior)),
    });
    this.#predecessors = new Predecessors({
      ...{ self, sessions, handOver, asks: this.#asks, succession: this.#succession },
      components: table,
    });
    this.#arrivals = new Arrivals({
      routes,
      succession: this.#succession,
      cluster: this.cluster,
      ...{ handOver, catchUp },
      lifecycle: this.#lifecycle,
      ...{ counters, clock, log, errands: this.errands },
      onFailedLogins: (report) => options.onFailedLogins?.(report),
      replace: (route, condition) => this.#predecessors.replace(route, condition),
    });
  }

  /** Everything is open. */
  start(): void {
    this.cluster.start();
    this.#logged(this.#lifecycle.tell("started"));
  }

  /** The node begins to drain. Never rejects. */
  async stop(): Promise<void> {
    await this.#logged(Promise.all([this.cluster.stop(), this.#lifecycle.tell("stopping")]));
  }

  // From the client door.

  onStanza(session: ClientSession, parsed: ParsedStanza, count: number): void | Promise<void> {
    return this.#senders.submit(session, parsed, count);
  }

  onDetached(session: ClientSession): void {
    this.#logged(this.#lifecycle.tell("detached", session));
  }

  fetchSession(route: Route): Promise<Incoming | "gone" | "later" | "away"> {
    return this.#succession.moves.fetch(route);
  }

  onResumed(session: ClientSession): void {
    this.#logged(this.#lifecycle.tell("resumed", session));
  }

  onBound(session: ClientSession, replaced: Route | undefined): void {
    this.#predecessors.bound(session, replaced);
    this.#newcomers.bound(session);
  }

  onClientState(session: ClientSession, isActive: boolean): void {
    this.#logged(this.#lifecycle.tell("clientState", session, isActive));
  }

  async onEnded(session: ClientSession, unacknowledged: readonly Envelope[]): Promise<void> {
    this.#succession.moves.ended(session);
    const told = this.#lifecycle.tell("ended", session)?.catch((error: unknown) => {
      this.counters.failures += 1;
      this.#options.log.error(
        { err: error, session: session.id },
        "cannot end session in a module",
      );
    });
    // What the session before this one still has to pass on comes first.
    const before = this.#predecessors.of(session);
    const passedOn = this.#endings.ended(session, unacknowledged, before);
    await told;
    await passedOn;
  }

  get shadow(): Shadow | undefined {
    return this.#succession.shadows;
  }

  isKept(user: string, sessionId: string, isPatient = false): Promise<KeptAnswer> {
    return this.#succession.isKept(user, sessionId, isPatient);
  }

  // From the mesh and the routes.

  /** @throws Unavailable "mesh-bad-frame" for a payload that is not valid */
  onFrame(from: string, kind: FrameKind, payload: Buffer): Buffer | Promise<Buffer> {
    return this.#arrivals.handle(from, kind, payload);
  }

  onNodeUp(node: NodeRecord): void {
    this.#peers.up(node.incarnation);
    this.cluster.nodesChanged();
    this.#logged(this.#lifecycle.tell("nodeUp", node));
    this.#succession.nodeUp(node);
  }

  /** Its lease has lapsed, and it may go on. */
  onNodeLapsed(node: NodeRecord): void {
    this.#succession.nodeLapsed(node);
  }

  /** It went on, and has a lease again. */
  onNodeBack(node: NodeRecord): void {
    this.#succession.nodeUp(node);
  }

  onNodeDown(node: NodeRecord): void {
    this.#peers.down(node.incarnation);
    this.cluster.nodesChanged();
    this.#succession.nodeDown(node);
    this.#wakes.nodeDown();
    this.#logged(this.#lifecycle.tell("nodeDown", node));
  }

  /** Another node may have stored something for that user, and could not say so. */
  onNotice(user: string): void {
    this.#logged(this.#lifecycle.tell("wake", user));
  }

  /** Another node took this session's address, or took the session over. */
  onRouteLost(route: Route, holder: Route | undefined): void {
    const session = sessionAt(this.#options.sessions(), route);
    const { moves } = this.#succession;
    const isMoved = session !== undefined && isMovable(session) && moves.isTaken(route, holder);
    // It may have ended there since, and what it had been passed on.
    if (session !== undefined && this.#isWithoutLease) this.#endings.doubt(session);
    if (isMoved) moves.takenOver(session);
    else void this.#predecessors.replace(route);
  }

  /** Others may take this node's sessions for gone, and go on with them. */
  onLeaseLost(): void {
    this.#isWithoutLease = true;
    this.#succession.leaseLost();
  }

  /** This node's lease is proven again: others may have taken its sessions for gone. */
  onLeaseRegained(): void {
    this.#isWithoutLease = false;
    this.#succession.leaseRegained();
    this.#logged(this.#lifecycle.tell("restored"));
  }

  // For the modules.

  /** Answers a stanza's sender with an error, if its kind may be answered. */
  refuse(envelope: Envelope, condition: StanzaCondition): void {
    this.#line.refuse(envelope, condition);
  }

  /** An answer of the server's, straight to the session it is addressed to where there is one. */
  answer(envelope: Envelope): void {
    this.#line.answer(envelope);
  }

  /** A stanza that the server made itself, on its way like any other. Never rejects. */
  route(envelope: Envelope): void | Promise<void> {
    return this.#line.route(envelope);
  }

  /**
   * One stanza to every available resource of many accounts, without asking those accounts:
   * one frame for each node. Never rejects; resolves when every node has answered, with those who
   * may not have heard it.
   * @param template made with templateOf or newTemplate
   * @param exceptSession id of a session that is left out
   */
  broadcast(
    template: Envelope,
    users: Iterable<string>,
    exceptSession = "",
  ): ReadonlySet<string> | Promise<ReadonlySet<string>> {
    return this.#fanOut.broadcast(template, users, exceptSession);
  }

  /** The same to every connected resource of one account. */
  push(template: Envelope, user: string): Promise<void> {
    return this.#fanOut.push(template, user);
  }

  /** To one session on a node that is known to hold it. Never rejects; false: it may not have heard. */
  reply(template: Envelope, full: string, node: string): Promise<boolean> {
    return this.#fanOut.reply(template, full, node);
  }

  /** A stanza of the server's to one session of this node, if the modules let it pass. */
  show(session: ClientSession, envelope: Envelope): void {
    this.#handOver.show(session, envelope);
  }

  /** What a module keeps of it has changed, not by what its client sent. @param value see `carried` */
  stateChanged(session: ClientSession, key: string, value: unknown): void {
    this.#succession.shadows?.stateChanged(session, key, value);
  }

  /** Publishes a session's availability; resolves after the commit. @throws Unavailable */
  async publish(session: ClientSession, available: boolean, priority: number): Promise<void> {
    const { route } = session;
    if (route.available === available && route.priority === priority) return;
    const changed = { ...route, available, priority };
    await this.#options.routes.update(changed);
    session.route = changed;
    this.#succession.shadows?.changed(session);
  }

  /** Something was stored for `user`: whoever is available is made to look. Never rejects. */
  wake(user: string): Promise<void> {
    return this.#wakes.tell(user);
  }

  /**
   * Runs a task after what is on its way from `envelope.from` to `envelope.to`, and before what
   * comes later. The task must not wait for another lane.
   */
  after({ from, to }: Envelope, task: () => void | Promise<void>): void {
    const done = this.#lanes.run(from.full, to.bare, task);
    done?.catch((error: unknown) => {
      this.counters.failures += 1;
      this.#options.log.error({ err: error }, "cannot finish handling a stanza");
    });
  }

  /** Tells the modules that a session becomes, or has become, reachable for messages. */
  tell(event: "arriving" | "arrived", session: ClientSession): Promise<void> | undefined {
    return this.#lifecycle.tell(event, session);
  }

  /**
   * Ends the sessions of an account, because it goes away or an administrator says so. Never rejects.
   * @param condition a stream error of RFC 6120, 4.9.3
   * @param resource "" for all of them
   */
  async disconnect(user: string, condition: string, resource = ""): Promise<void> {
    const { routes, selfIncarnation, sessions, log } = this.#options;
    try {
      for (const route of (await routes.read(user)).routes) {
        if (resource !== "" && route.resource !== resource) continue;
        if (route.node !== selfIncarnation) {
          void this.#asks.tell(route.node, Frames.conflict, encodeConflict({ route, condition }));
        }
      }
    } catch (error) {
      log.warn({ err: error }, "cannot find the sessions of an account on other nodes");
    }
    for (const session of [...sessions().ofUser(user)]) {
      if (resource === "" || session.jid.resource === resource) session.close(condition);
    }
  }

  /** The users with sessions anywhere, for people; slow where there are many. @throws Unavailable */
  async *users(): AsyncIterable<string> {
    const { domains } = this.#options.components ?? NO_COMPONENTS;
    for await (const user of this.#options.routes.users()) if (!domains.has(user)) yield user;
  }

  /** Whether the user has a resource that announced itself. @throws Unavailable */
  async isAvailable(user: string): Promise<boolean> {
    const { routes } = await this.#options.routes.read(user);
    return routes.some(({ available }) => available);
  }

  /** Settles when those that had its address before have passed on what their clients did not get. */
  predecessorsOf(session: ClientSession): Promise<void> | undefined {
    return this.#predecessors.allOf(session);
  }

  claim(name: string): Promise<Claim | undefined> {
    return this.#options.routes.claim(name);
  }

  /** The user's available resources on live nodes: full addresses with nodes. @throws Unavailable */
  async whereabouts(user: string): Promise<ReadonlyMap<string, string>> {
    const { routes } = await this.#options.routes.read(user);
    const there = routes.filter(({ available, node }) => available && !this.isDead(node));
    return new Map(there.map(({ resource, node }) => [`${user}/${resource}`, node]));
  }

  /** There never are other nodes. */
  get isAlone(): boolean {
    return this.#options.mesh === undefined;
  }

  isDead(node: string): boolean {
    return this.#peers.isDead(node);
  }

  mayBeTwice(origin: Origin, receivedMs: number): boolean {
    return this.#senders.mayBeTwice(origin, receivedMs);
  }

  nowMs(): number {
    return this.#acceptance.nowMs();
  }

  get deliveries(): Pick<HandOver, "hold" | "release" | "giveStored"> {
    return this.#handOver;
  }

  stats(): Readonly<Record<string, number>> {
    return {
      ...this.counters,
      ...this.cluster.stats(),
      laneTasks: this.#lanes.tasks,
      wakesMissed: this.#wakes.size,
      repeatsRemembered: this.#handOver.remembered,
      ...this.#succession.stats(),
    };
  }

  // Within.

  #takenOver(session: ClientSession, from: string | undefined): void {
    this.#wakes.takenOver(session);
    this.#logged(this.#lifecycle.tell("takenOver", session, from));
  }

  #logged(told: Promise<unknown> | undefined): Promise<unknown> | undefined {
    return told?.catch((error: unknown) => {
      this.counters.failures += 1;
      this.#options.log.error({ err: error }, "cannot tell modules");
    });
  }

  readonly #newOrigin = (): Origin => {
    this.#made += 1;
    return { session: this.#options.selfIncarnation, count: this.#made };
  };
}
