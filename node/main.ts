/**
 * The composition root: builds every room from the configuration, wires the callbacks, starts, and
 * stops. Rooms open from the bottom up; the stack releases them in the opposite order.
 */

import { join } from "node:path";
import type { ClusterSecret } from "./auth/cluster-secret.ts";
import { openClusterSecret } from "./auth/cluster-secret.ts";
import { makeCredentials } from "./auth/credentials.ts";
import { makeDecoys } from "./auth/decoys.ts";
import { PasswordWork } from "./auth/password-work.ts";
import { TokenKeeper } from "./auth/tokens.ts";
import { systemClock as clock } from "./base/clock.ts";
import { withDeadline } from "./base/deadline.ts";
import type { Logger } from "./base/log.ts";
import { persist } from "./base/persist.ts";
import { systemRandom as random, randomId } from "./base/random.ts";
import type { ComponentTable } from "./components/contract.ts";
import type { ComponentDoor } from "./components/door.ts";
import { openComponentDoor } from "./components/door.ts";
import type { Configuration } from "./config/schema.ts";
import { readDomainCertificate, watchCertificate } from "./domain-certificate.ts";
import { Domains } from "./domains.ts";
import { occupyData, openRoutes, openStores, readMeshTls } from "./engines.ts";
import { externalIn, modulesWith } from "./external-modules.ts";
import { AddressBudget } from "./guard/address-budget.ts";
import { Captchas } from "./guard/captcha.ts";
import { FailedLogins } from "./guard/failed-logins.ts";
import { LoopDelay } from "./guard/loop-delay.ts";
import type { HttpServer } from "./http/server.ts";
import { openHttp, plainText } from "./http/server.ts";
import type { Uploads } from "./http/upload/contract.ts";
import { openUploads } from "./http/upload/open.ts";
import type { CountedMesh } from "./mesh/mesh.ts";
import { openMesh } from "./mesh/mesh.ts";
import type { MetricSources } from "./metrics.ts";
import { metricsOf } from "./metrics.ts";
import type { Module } from "./modules/contract.ts";
import type { OpenedRouter } from "./modules/open-router.ts";
import { openRouter } from "./modules/open-router.ts";
import { Health } from "./observe/health.ts";
import type { Metrics } from "./observe/metrics.ts";
import { openMetrics } from "./observe/metrics.ts";
import { Reloader } from "./reload.ts";
import type { Router } from "./router/router.ts";
import type { NodeRecord, Routes, RoutesEvents } from "./routes/contract.ts";
import type { SessionTable } from "./session/contract.ts";
import type { ClientDoor } from "./session/door.ts";
import { openClientDoor } from "./session/door.ts";
import type { Registration } from "./session/door-context.ts";
import { software } from "./software.ts";
import type { Stores } from "./stores/contract.ts";
import { TlsContexts } from "./stream/tls.ts";
import { Turns } from "./stream/turns.ts";
import { openWebDoors } from "./web-doors.ts";

export interface RunningNode {
  readonly domains: readonly string[];
  readonly ports: { readonly c2s: number; readonly http: number };
  /** PEM file that clients must trust when the certificate is self-made. */
  readonly selfMadeAuthority: string | undefined;
  /** Takes over what can change while it runs; logs what cannot. */
  reload(configuration: Configuration): Promise<void>;
  /** Not ready, no new clients, sessions closed at the set rate, then everything is released. */
  drain(): Promise<void>;
}

/** A node may start before its dependencies; the pod's start-up probe waits longer than this. */
const START_PATIENCE_MS = 90_000;
/** What modules do when the node begins to drain has this long. */
const STOP_MS = 5_000;

/** What is built later than the callbacks that lead to it. */
interface Upper {
  /** Resolves when there is a router. */
  readonly isReady: PromiseWithResolvers<Router>;
  routes?: Routes;
  router?: Router;
  door?: ClientDoor;
  components?: ComponentDoor | undefined;
}

/** @throws ConfigError or Unavailable when a part cannot start; what was started is released. */
export async function startNode(started: Configuration, log: Logger): Promise<RunningNode> {
  const domains = new Domains(started.domains);
  // Whoever is given the domains sees them change: see reload.ts.
  const configuration = { ...started, domains: domains.list };
  await using starting = new AsyncDisposableStack();
  const upper: Upper = { isReady: Promise.withResolvers() };
  const modules = await modulesWith(externalIn(configuration));
  starting.use(await occupyData(configuration));
  const certificate = await readDomainCertificate(configuration);
  const tls = new TlsContexts(certificate);
  const patience = { clock, log, forMs: START_PATIENCE_MS };
  const openStoresOnce = () => openStores(configuration, log);
  const stores = starting.use(await persist("stores", openStoresOnce, patience));
  const incarnation = randomId(random);
  const mesh = starting.use(await openClusterMesh(configuration, incarnation, upper, log));
  const self = describeSelf(configuration, incarnation, mesh);
  const openOnce = () => openNodeRoutes(configuration, self, mesh, upper, log);
  const routes = starting.use(await persist("routes", openOnce, patience));
  const passwords = new PasswordWork();
  const turns = new Turns(clock);
  const { loopDelayMs } = configuration.overload;
  // Everything goes before history; what has been accepted before new connections.
  const loopDelay = new LoopDelay(clock, loopDelayMs, (work) =>
    turns.waitedMs(work === "history" ? undefined : "new"),
  );
  starting.defer(() => loopDelay.stop());
  const openUploadsOnce = () => openNodeUploads(configuration, stores, log);
  const uploads = await persist("uploads", openUploadsOnce, patience);
  if (uploads !== undefined) starting.use(uploads);
  const failedLogins = new FailedLogins(configuration.c2s, clock, (report) =>
    upper.router?.errands.tellFailedLogins(report),
  );
  const own = { failedLogins, incarnation, passwords, loopDelay, turns, uploads, log };
  const parts = { configuration, stores, routes, ...own };
  const opened = connectRouter({ ...parts, modules, served: domains.set, mesh, upper });
  const { router } = opened;
  upper.router = router;
  upper.routes = routes;
  upper.isReady.resolve(router);
  const openSecretOnce = () =>
    openClusterSecret(stores, configuration.domains, (count) => random.bytes(count));
  const secret = await persist("secrets", openSecretOnce, patience);
  const door = starting.use(await openDoor({ ...parts, served: domains.set, opened, tls, secret }));
  upper.door = door;
  const components = await openComponents({ ...parts, tls, router });
  if (components !== undefined) starting.use(components);
  upper.components = components;
  const health = new Health([
    { name: "store", check: () => stores.ping() },
    { name: "routes", check: () => routes.ping() },
  ]);
  const web = starting.use(await openWebDoors({ ...parts, door, tls }));
  const sources: MetricSources = {
    ...{ door, web, components, router, mesh, routes, stores, loopDelay, failedLogins },
    modules: opened.counts,
  };
  const http = starting.use(
    await openPages(configuration, health, openMetrics(metricsOf(modules), sources)),
  );
  const reloader = new Reloader({ configuration, domains, door, log });
  const inUse = () => reloader.configuration;
  starting.use(
    watchCertificate(inUse, certificate, (renewed) => door.setSecureContext(renewed), log),
  );
  health.hold(undefined);
  const running = starting.move();
  router.start();
  log.info(
    {
      room: "main",
      version: software.version,
      c2s: door.port,
      http: http.port,
      ...(web !== undefined && { web: web.port }),
      ...(components !== undefined && { components: components.port }),
      incarnation,
    },
    "serving",
  );
  return {
    domains: domains.list,
    reload: (next) => reloader.reload(next),
    ports: { c2s: door.port, http: http.port },
    selfMadeAuthority: certificate.selfMadeAuthority,
    async drain() {
      health.hold("draining");
      const stopped = withDeadline(router.stop(), STOP_MS, "modules-timeout", "stop modules").catch(
        (error: Error) => log.warn({ room: "main", reason: error.message }, "left without waiting"),
      );
      await door.drain({
        perSecond: configuration.drain.disconnectsPerSecond,
        deadlineMs: configuration.drain.deadlineSeconds * 1_000,
      });
      await stopped;
      await running.disposeAsync();
      log.info({ room: "main" }, "drained");
    },
  };
}

const describeSelf = (
  { node, mesh }: Configuration,
  incarnation: string,
  opened: CountedMesh | undefined,
): NodeRecord => ({
  incarnation,
  name: node.name,
  zone: node.zone,
  version: software.version,
  meshHost: mesh.advertise ?? node.name,
  meshPort: opened?.port ?? 0,
});

/** Undefined for a node alone. */
async function openClusterMesh(
  configuration: Configuration,
  incarnation: string,
  upper: Upper,
  log: Logger,
): Promise<CountedMesh | undefined> {
  const { mesh, routes } = configuration;
  if (routes.engine === "memory") return undefined;
  return openMesh({
    host: mesh.host,
    port: mesh.port,
    serverName: mesh.serverName,
    self: { incarnation },
    tls: await readMeshTls(configuration),
    clock,
    log,
    onRefused: (node) => upper.routes?.refused(node),
    onFrame(from, kind, payload) {
      const { router, isReady } = upper;
      if (router !== undefined) return router.onFrame(from, kind, payload);
      // Others know of this node as soon as its record is there: to refuse would be to look broken.
      return isReady.promise.then((late) => late.onFrame(from, kind, payload));
    },
  });
}

function openNodeRoutes(
  configuration: Configuration,
  self: NodeRecord,
  mesh: CountedMesh | undefined,
  upper: Upper,
  log: Logger,
): Promise<Routes> {
  const events: RoutesEvents = {
    onNodeUp(node) {
      mesh?.addPeer(node);
      upper.router?.onNodeUp(node);
    },
    onNodeLapsed: (node) => upper.router?.onNodeLapsed(node),
    onNodeBack: (node) => upper.router?.onNodeBack(node),
    onNodeDown(node) {
      mesh?.removePeer(node.incarnation);
      upper.router?.onNodeDown(node);
    },
    onNotice: (user) => upper.router?.onNotice(user),
    onRouteLost: (route, holder) => upper.router?.onRouteLost(route, holder),
    onLeaseLost() {
      log.warn({ room: "routes" }, "lease lost: nobody new is bound");
      upper.router?.onLeaseLost();
    },
    onLeaseRegained() {
      log.info({ room: "routes" }, "lease regained");
      upper.router?.onLeaseRegained();
    },
  };
  return openRoutes(configuration, {
    self,
    clock,
    log,
    events,
    notifySiblings: (to, user, set) => upper.router?.errands.notifySiblings(to, user, set),
    askOwnRoutes: async (node, user) =>
      (await upper.router?.errands.ownRoutes(node, user)) ?? "gone",
    isRefused: async (via, node) => (await upper.router?.errands.isRefused(via, node)) ?? false,
  });
}

/** What the node holds until its door is open. */
const NO_SESSIONS: SessionTable = {
  size: 0,
  get: () => undefined,
  ofUser: () => [],
  all: () => [],
};

const NO_COMPONENTS: ComponentTable = { size: 0, get: () => undefined };

/** Files of users, with the key to sign names with that all nodes share. */
async function openNodeUploads({ upload, web, data }: Configuration, stores: Stores, log: Logger) {
  if (upload.engine === "none") return undefined;
  const key = await stores.secrets.keep("upload", random.bytes(32));
  const directory = { ...upload.directory, path: upload.directory.path ?? join(data, "uploads") };
  return openUploads({ ...upload, directory }, { key, web, clock, random, log });
}

interface Parts {
  readonly configuration: Configuration;
  readonly stores: Stores;
  readonly routes: Routes;
  readonly incarnation: string;
  /** One bound on password hashing, whoever asks for it. */
  readonly passwords: PasswordWork;
  readonly loopDelay: LoopDelay;
  readonly turns: Turns;
  readonly failedLogins: FailedLogins;
  /** Undefined where the node takes no files. */
  readonly uploads: Uploads | undefined;
  readonly log: Logger;
}

interface RouterParts extends Parts {
  readonly modules: readonly Module[];
  readonly served: ReadonlySet<string>;
  readonly mesh: CountedMesh | undefined;
  readonly upper: Upper;
}

const connectRouter = ({
  configuration,
  upper,
  incarnation,
  passwords,
  loopDelay,
  failedLogins,
  ...parts
}: RouterParts): OpenedRouter =>
  openRouter({
    ...parts,
    onFailedLogins: (report) => failedLogins.heard(report),
    isBehind: () => loopDelay.isPutOff("history"),
    domains: configuration.domains,
    guestDomains: configuration.auth.anonymousDomains,
    sessions: () => upper.door?.sessions ?? NO_SESSIONS,
    zone: configuration.node.zone,
    adopt: configuration.c2s.mirrored
      ? async (incoming, seen) => (await upper.door?.adopt(incoming, seen)) ?? "again"
      : undefined,
    components: {
      domains: new Set(Object.keys(configuration.components.domains)),
      table: () => upper.components?.table ?? NO_COMPONENTS,
    },
    clock,
    random,
    options: configuration.modules,
    selfIncarnation: incarnation,
    software,
    credentialsFor: (password) =>
      makeCredentials(password, {
        iterations: configuration.auth.scramIterations,
        work: passwords,
      }),
  });

const DAY_MS = 86_400_000;

/** Undefined: none are given. */
function openTokens(
  { auth }: Configuration,
  { tokens: store }: Stores,
  secret: ClusterSecret,
): TokenKeeper | undefined {
  const { lifetimeDays, clientsMax } = auth.tokens;
  if (lifetimeDays === 0) return undefined;
  const lifetimeMs = lifetimeDays * DAY_MS;
  return new TokenKeeper({
    store,
    clock,
    random,
    secret: secret.keyFor("tokens"),
    lifetimeMs,
    clientsMax,
  });
}

interface DoorParts extends Parts {
  readonly served: ReadonlySet<string>;
  readonly opened: OpenedRouter;
  readonly tls: TlsContexts;
  readonly secret: ClusterSecret;
}

const openDoor = ({
  configuration,
  served,
  stores,
  opened,
  incarnation,
  secret,
  loopDelay,
  ...parts
}: DoorParts) =>
  openClientDoor({
    ...parts,
    isBehind: () => loopDelay.isPutOff("connection"),
    config: configuration.c2s,
    scramIterations: configuration.auth.scramIterations,
    decoys: makeDecoys({
      secret: secret.keyFor("decoys"),
      areSomeOlder: secret.areSomeOlder,
      iterations: configuration.auth.scramIterations,
    }),
    mechanisms: configuration.auth.mechanisms,
    resourceSecret: secret.keyFor("resources"),
    tokens: openTokens(configuration, stores, secret),
    inline: opened.inline,
    boundNotes: opened.boundNotes,
    anonymousDomains: configuration.auth.anonymousDomains,
    registration: registrationOf(configuration, opened),
    announced: opened.announced,
    domains: served,
    accounts: stores.accounts,
    events: opened.router,
    clock,
    random,
    selfIncarnation: incarnation,
  });

interface ComponentParts extends Parts {
  readonly tls: TlsContexts;
  readonly router: Router;
}

/** Undefined where no port for components is configured. */
async function openComponents({
  configuration,
  incarnation,
  router,
  tls,
  ...parts
}: ComponentParts): Promise<ComponentDoor | undefined> {
  const { host, port, domains, handshakeSeconds, ...limits } = configuration.components;
  if (port === undefined) return undefined;
  const secrets = Object.entries(domains).map(([domain, { secret }]) => [domain, secret] as const);
  return await openComponentDoor({
    ...parts,
    host,
    port,
    tls: limits.tls ? tls : undefined,
    secrets: new Map(secrets),
    limits: { ...limits, handshakeMs: handshakeSeconds * 1_000 },
    events: router.components,
    selfIncarnation: incarnation,
    clock,
    random,
  });
}

/** XEP-0077 before login: as many accounts as one address may make. */
function registrationOf({ registration }: Configuration, { register }: OpenedRouter): Registration {
  const budget = new AddressBudget(registration.perAddressPerHour, 3_600_000, clock);
  return {
    enabled: registration.enabled,
    captchas: registration.captcha ? new Captchas(clock, random) : undefined,
    async register(user, password, address) {
      return budget.take(address) ? register(user, password) : "refused";
    },
  };
}

function openPages({ http }: Configuration, health: Health, metrics: Metrics): Promise<HttpServer> {
  return openHttp(http, {
    "/healthz": () => plainText(200, "ok"),
    "/readyz": async () => {
      const { isReady, lines } = await health.verdict();
      return plainText(isReady ? 200 : 503, lines.join("\n"));
    },
    "/metrics": async () => ({
      status: 200,
      contentType: metrics.contentType,
      body: await metrics.render(),
    }),
  });
}
