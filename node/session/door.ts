/** The client door: opens the ports and builds what stands behind them. */

import { LRUCache } from "lru-cache";
import type { Decoys } from "../auth/decoys.ts";
import type { KeyUpgradeStats } from "../auth/key-upgrades.ts";
import { KeyUpgrades } from "../auth/key-upgrades.ts";
import type { PasswordMechanism } from "../auth/offer.ts";
import { PASSWORD_MECHANISMS } from "../auth/offer.ts";
import { PasswordWork } from "../auth/password-work.ts";
import type { TokenKeeper } from "../auth/tokens.ts";
import type { Clock } from "../base/clock.ts";
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { AddressGuard } from "../guard/address-guard.ts";
import { Admission } from "../guard/admission.ts";
import { FailedLogins } from "../guard/failed-logins.ts";
import type { Rate } from "../guard/token-bucket.ts";
import { TokenBucket } from "../guard/token-bucket.ts";
import { proxyList } from "../http/proxies.ts";
import type { RouteSet } from "../routes/contract.ts";
import type { Accounts } from "../stores/contract.ts";
import type { Gate, StreamCondition, Transport, TransportLimits } from "../stream/contract.ts";
import { boundFeatures, EntryFeaturesSaid, streamLimits } from "../stream/features.ts";
import type { Listener, ListenerOptions } from "../stream/listener.ts";
import { listen } from "../stream/listener.ts";
import type { StreamSettings } from "../stream/stream.ts";
import { ServerStream } from "../stream/stream.ts";
import type { TlsContexts, TlsMaterials } from "../stream/tls.ts";
import type { Turns } from "../stream/turns.ts";
import { adoptSession } from "./adopt.ts";
import type {
  BoundNote,
  Incoming,
  InlineFeature,
  SessionEvents,
  SessionTable,
} from "./contract.ts";
import { Detached } from "./detached.ts";
import type {
  ClientDoorConfig,
  Door,
  DoorLimits,
  DoorRoutes,
  DoorStats,
  Registration,
} from "./door-context.ts";
import { DEFAULT_LIMITS } from "./door-context.ts";
import type { DrainOptions } from "./drain.ts";
import { drainSessions } from "./drain.ts";
import { Negotiation } from "./negotiate.ts";
import { Negotiations } from "./negotiations.ts";
import type { Session } from "./session.ts";
import { Sessions } from "./table.ts";

export interface ClientDoorOptions {
  readonly config: ClientDoorConfig;
  /** Prepared, at least one; may change. */
  readonly domains: ReadonlySet<string>;
  readonly accounts: Pick<Accounts, "credentials" | "addKeys">;
  readonly routes: DoorRoutes;
  readonly clock: Clock;
  readonly random: Random;
  /** Overrides of {@link DEFAULT_LIMITS}, for tests. */
  readonly limits?: Partial<DoorLimits>;
  /** Undefined: neither STARTTLS nor direct TLS. */
  readonly tls: TlsContexts | undefined;
  readonly events: SessionEvents;
  readonly registration?: Registration | undefined;
  /** More features of a stream whose client has logged in, as XML. */
  readonly announced?: string;
  readonly selfIncarnation: string;
  readonly log: Logger;
  /** PBKDF2 rounds that new keys get. */
  readonly scramIterations: number;
  /** What unknown users are checked against. */
  readonly decoys: Decoys;
  /** Known to all nodes and to nobody else. */
  readonly resourceSecret: Buffer;
  readonly tokens?: TokenKeeper | undefined;
  /** Ways to log in with a password; all if left out. */
  readonly mechanisms?: readonly PasswordMechanism[];
  /** XEP-0386: what others enable. */
  readonly inline?: readonly InlineFeature[];
  /** XEP-0386: what others tell. */
  readonly boundNotes?: readonly BoundNote[];
  /** Those of all nodes; this door's own if left out. */
  readonly failedLogins?: FailedLogins;
  /** Whether more than a few new connections are too much now; never if left out. */
  readonly isBehind?: () => boolean;
  /** What its connections share with those of other doors. */
  readonly turns?: Turns;
  /** Some of `domains`; none if left out. */
  readonly anonymousDomains?: readonly string[];
  /** Shared with registration, so that both together stay within its bound. */
  readonly passwords?: PasswordWork;
  /** Opens a port; a real one if left out. */
  readonly listen?: typeof listen;
}

export interface ClientDoor extends AsyncDisposable {
  readonly port: number;
  readonly directTlsPort: number | undefined;
  readonly proxiedPort: number | undefined;
  readonly sessions: SessionTable;
  /** Sessions whose clients may still resume them. */
  readonly detached: number;
  readonly stats: Readonly<DoorStats>;
  /** For transports of other listeners, which keep the same limits. */
  readonly gate: Gate;
  readonly limits: TransportLimits;
  /** Streams that have no session yet. */
  readonly negotiating: number;
  /** Who waits to log in, and who was turned away. */
  readonly admission: Pick<Admission, "waiting" | "shed">;
  readonly keyUpgrades: Readonly<KeyUpgradeStats>;
  /** See adoptSession. */
  adopt(incoming: Incoming, seen: RouteSet): Promise<"taken" | "again" | "never">;
  /** Sends everybody elsewhere; new streams get `system-shutdown`. Then the ports are closed. */
  drain(options: DrainOptions): Promise<void>;
  /** Ends the streams and sessions of a domain that is not served any more. */
  closeDomain(domain: string): void;
  /** Certificates for new connections. @throws Error when they cannot be used; the old ones stay. */
  setSecureContext(materials: TlsMaterials): void;
}

const newStats = (): DoorStats => ({
  bytesIn: 0,
  stanzasIn: 0,
  stanzasOut: 0,
  streamErrors: 0,
  connections: 0,
  connectionsAccepted: 0,
  connectionsRefused: 0,
  loginsSucceeded: 0,
  loginsFailed: 0,
  loginsByToken: 0,
  tokensGiven: 0,
  sessionsBound: 0,
  sessionsEnded: 0,
  sessionsDetached: 0,
  sessionsResumed: 0,
  sessionsMovedIn: 0,
  sessionsMovedOut: 0,
  sessionsExpired: 0,
  resumptionsFailed: 0,
  stanzasUnacknowledged: 0,
  endingsFailed: 0,
});

const NONCE_BYTES = 18;
/** New connections that a node takes though it is behind. */
const WHILE_BEHIND: Rate = { capacity: 10, windowMs: 1_000 };
/** Sessions whose accepted stanzas are remembered after their end, for who comes too late. */
const FORMER_MAX = 10_000;
/** What asyncDispose gives to sessions that nobody drained. */
const DISPOSE: DrainOptions = { perSecond: Number.MAX_SAFE_INTEGER, deadlineMs: 5_000 };

function makeDoor(options: ClientDoorOptions): Door {
  const { accounts, clock, config, random, passwords = new PasswordWork() } = options;
  const log = options.log.child({ room: "session" });
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const stats = newStats();
  const keys = { iterations: options.scramIterations, work: passwords };
  const idleSeconds = Math.ceil((limits.unansweredSweeps * limits.sweepMs) / 1_000);
  const announced = (options.announced ?? "") + streamLimits(config.stanzaBytesMax, idleSeconds);
  return {
    config,
    limits,
    clock,
    random,
    routes: options.routes,
    selfIncarnation: options.selfIncarnation,
    events: options.events,
    registration: options.registration,
    announced,
    entryFeatures: new EntryFeaturesSaid(),
    boundFeatures: boundFeatures(announced),
    boundNotes: options.boundNotes ?? [],
    inline: new Map((options.inline ?? []).map((one) => [one.ns, one])),
    resourceSecret: options.resourceSecret,
    auth: {
      accounts,
      decoys: options.decoys,
      nonce: () => random.bytes(NONCE_BYTES).toString("base64"),
      passwords,
      upgrades: new KeyUpgrades(accounts, keys, log),
    },
    mechanisms: options.mechanisms ?? PASSWORD_MECHANISMS,
    tokens: options.tokens,
    anonymousDomains: new Set(options.anonymousDomains),
    guard: new AddressGuard(config.connectionsPerAddressMax),
    failedLogins: options.failedLogins ?? new FailedLogins(config, clock),
    admission: new Admission({
      placesMax: limits.loginPlacesMax,
      passwordPlacesMax: limits.passwordPlacesMax,
      waitingMax: limits.loginsWaitingMax,
    }),
    sessions: new Sessions<Session>(),
    detached: new Detached({
      clock,
      sessionsMax: config.detachedMax,
      // It may be another node's, while this one has no lease.
      canComeBack: async ({ jid }) =>
        (await canLogIn(jid.bare, accounts, log)) && options.routes.holdsLease,
      onExpired: () => {
        stats.sessionsExpired += 1;
      },
    }),
    formerly: new LRUCache({ max: FORMER_MAX }),
    log,
    stats,
    isDraining: false,
    isEnding: false,
    endings: new Set(),
    givingUp: new AbortController(),
  };
}

class OpenDoor implements ClientDoor, Gate {
  readonly #options: ClientDoorOptions;
  readonly #door: Door;
  readonly #settings: StreamSettings;
  readonly #streams = new Set<ServerStream>();
  readonly #negotiations: Negotiations;
  readonly #whileBehind: TokenBucket;
  readonly #ports: { clients?: Listener; directTls?: Listener; proxied?: Listener } = {};
  #drained: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: ClientDoorOptions) {
    this.#options = options;
    const door = makeDoor(options);
    this.#door = door;
    const { config, clock, limits } = door;
    this.#whileBehind = new TokenBucket(WHILE_BEHIND, clock.monotonicMs());
    this.#negotiations = new Negotiations(clock, config.negotiationSeconds * 1_000);
    this.#settings = {
      domains: options.domains,
      clock,
      random: options.random,
      tls: options.tls,
      stanzaBytesMax: config.stanzaBytesMax,
      lingerMs: limits.lingerMs,
      stats: door.stats,
      onClosed: (stream) => this.#onClosed(stream),
      onFault: (error) => door.log.error({ err: error }, "stream-fault"),
    };
  }

  async open(): Promise<void> {
    const { port, directTls: { port: directPort } = {}, proxied } = this.#door.config;
    const { tls } = this.#options;
    const ports = this.#ports;
    ports.clients = await this.#listen({ port });
    if (directPort !== undefined && tls !== undefined) {
      ports.directTls = await this.#listen({ port: directPort, directTls: tls });
    }
    if (proxied?.port !== undefined) {
      const trustedProxies = proxyList("c2s.proxied.trustedProxies", proxied.trustedProxies);
      ports.proxied = await this.#listen({ port: proxied.port, directTls: tls, trustedProxies });
    }
    this.#sweepLater();
  }

  get port(): number {
    return this.#ports.clients?.port ?? 0;
  }

  get directTlsPort(): number | undefined {
    return this.#ports.directTls?.port;
  }

  get proxiedPort(): number | undefined {
    return this.#ports.proxied?.port;
  }

  get sessions(): SessionTable {
    return this.#door.sessions;
  }

  get detached(): number {
    return this.#door.detached.size;
  }

  get stats(): Readonly<DoorStats> {
    return this.#door.stats;
  }

  get gate(): Gate {
    return this;
  }

  get limits(): TransportLimits {
    const { config, limits } = this.#door;
    return { ...limits, stanzaBytesMax: config.stanzaBytesMax };
  }

  get admission(): Pick<Admission, "waiting" | "shed"> {
    return this.#door.admission;
  }

  get keyUpgrades(): Readonly<KeyUpgradeStats> {
    return this.#door.auth.upgrades.stats;
  }

  get negotiating(): number {
    return this.#negotiations.size;
  }

  async adopt(incoming: Incoming, seen: RouteSet): Promise<"taken" | "again" | "never"> {
    const adopted = await adoptSession(this.#door, incoming, seen);
    return typeof adopted === "string" ? adopted : "taken";
  }

  drain(options: DrainOptions): Promise<void> {
    this.#drained ??= this.#drain(options);
    return this.#drained;
  }

  closeDomain(domain: string): void {
    this.#negotiations.closeAll("host-gone", domain);
    for (const session of [...this.#door.sessions.all()]) {
      if (session.jid.domain !== domain) continue;
      session.close("host-gone", "This domain is not served here any more");
    }
  }

  setSecureContext(materials: TlsMaterials): void {
    this.#options.tls?.replace(materials);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#door.isEnding = true;
    await this.drain(DISPOSE);
  }

  async #drain(options: DrainOptions): Promise<void> {
    this.#door.isDraining = true;
    this.#negotiations.closeAll("system-shutdown");
    await drainSessions(this.#door, options);
    this.#isClosed = true;
    for (const listener of Object.values(this.#ports)) listener.close();
    this.#negotiations.stop();
    this.#door.detached.stop();
    for (const stream of this.#streams) stream.destroy();
  }

  #listen(port: Pick<ListenerOptions, "port"> & Partial<ListenerOptions>): Promise<Listener> {
    const { config, log, random, clock } = this.#door;
    return (this.#options.listen ?? listen)({
      directTls: undefined,
      ...port,
      host: config.host,
      limits: this.limits,
      gate: this,
      random,
      clock,
      turns: this.#options.turns,
      domain: () => this.#options.domains.values().next().value ?? "",
      onAcceptError: (error) => log.warn({ err: error }, "connection-not-accepted"),
    });
  }

  admit(address: string): StreamCondition | undefined {
    const { config, guard, stats } = this.#door;
    const condition = this.#door.isDraining
      ? "system-shutdown"
      : this.#streams.size >= config.connectionsMax || this.#mustComeBack()
        ? "resource-constraint"
        : guard.admit(address)
          ? undefined
          : "policy-violation";
    if (condition !== undefined) stats.connectionsRefused += 1;
    return condition;
  }

  /** Logging in becomes slow while the node is behind, and never impossible. */
  #mustComeBack(): boolean {
    if (this.#options.isBehind?.() !== true) return false;
    return !this.#whileBehind.take(this.#door.clock.monotonicMs());
  }

  release(address: string): void {
    this.#door.guard.release(address);
  }

  onTransport(transport: Transport): void {
    const negotiation = new Negotiation(this.#door, (done) => this.#negotiations.remove(done));
    const stream = new ServerStream(transport, this.#settings, negotiation);
    negotiation.stream = stream;
    this.#negotiations.add(negotiation);
    this.#streams.add(stream);
    this.#door.stats.connectionsAccepted += 1;
    this.#door.stats.connections = this.#streams.size;
  }

  #onClosed(stream: ServerStream): void {
    this.#streams.delete(stream);
    this.#door.stats.connections = this.#streams.size;
    this.#door.guard.release(stream.remoteAddress);
  }

  #sweepLater(): void {
    this.#door.clock.after(this.#door.limits.sweepMs, () => {
      if (this.#isClosed) return;
      for (const session of [...this.#door.sessions.all()]) session.sweep();
      this.#sweepLater();
    });
  }
}

/** Whether the store tells enough of that user for a login. Never rejects. */
async function canLogIn(
  user: string,
  accounts: Pick<Accounts, "credentials">,
  log: Logger,
): Promise<boolean> {
  try {
    await accounts.credentials(user);
    return true;
  } catch (error) {
    if (error instanceof Unavailable) return false;
    log.error({ err: error }, "cannot see whether clients can log in");
    return true;
  }
}

/**
 * Opens the door for clients.
 * @throws ConfigError when an address cannot be listened on.
 */
export async function openClientDoor(options: ClientDoorOptions): Promise<ClientDoor> {
  const door = new OpenDoor(options);
  await door.open();
  return door;
}
