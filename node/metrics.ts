/** Every metric of a node, by name. Rooms count in plain numbers; these are read on a scrape. */
import type { ComponentStats } from "./components/contract.ts";
import type { ComponentDoor } from "./components/door.ts";
import { URGENCIES } from "./guard/admission.ts";
import type { FailedLogins } from "./guard/failed-logins.ts";
import type { LoopDelay } from "./guard/loop-delay.ts";
import type { CountedMesh } from "./mesh/mesh.ts";
import type { Module } from "./modules/contract.ts";
import type { Metric } from "./observe/metrics.ts";
import type { Router } from "./router/router.ts";
import type { Routes, RoutesGauges } from "./routes/contract.ts";
import type { ClientDoor } from "./session/door.ts";
import type { BudgetCounts, BudgetName, Stores } from "./stores/contract.ts";
import { BUDGETS } from "./stores/contract.ts";
import type { WebDoors } from "./web-doors.ts";

export interface MetricSources {
  readonly door: ClientDoor;
  /** Undefined where no port for web clients is configured. */
  readonly web: WebDoors | undefined;
  /** Undefined where no port for components is configured. */
  readonly components: ComponentDoor | undefined;
  readonly router: Router;
  /** What the modules count, by module name. */
  readonly modules: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly routes: Routes;
  readonly stores: Pick<Stores, "budgets">;
  readonly loopDelay: Pick<LoopDelay, "meanMs">;
  readonly failedLogins: Pick<FailedLogins, "counts">;
  /** Undefined for a node alone. */
  readonly mesh: CountedMesh | undefined;
}

type NodeMetric = Metric<MetricSources>;

const gauge = (name: string, help: string, read: NodeMetric["read"]): NodeMetric => ({
  name: `zonda_${name}`,
  kind: "gauge",
  help,
  read,
});

const counter = (name: string, help: string, read: NodeMetric["read"]): NodeMetric => ({
  name: `zonda_${name}_total`,
  kind: "counter",
  help,
  read,
});

const door = ({ door: { stats } }: MetricSources) => stats;

/** What the router counts: see router/counters.ts. */
const ROUTER = {
  mirroredWhole: "Sessions sent whole to their shadows.",
  mirroredChanges: "Changes of sessions sent to their shadows.",
  mirrorFailures: "Frames to shadows that were not answered: other shadows were chosen.",
  notWithheld: "Sessions whose clients did not wait any longer for their shadows.",
  stanzasIn: "Stanzas that clients of this node sent.",
  stanzasHandedOver: "Stanzas handed to sessions of this node.",
  copiesHandedOver: "Copies of messages handed to other resources of this node (XEP-0280).",
  copiesFailed:
    "Messages of which other resources got no copy (XEP-0280), because etcd or a node did not answer.",
  framesOut: "Frames sent to other nodes to deliver stanzas.",
  framesIn: "Frames from other nodes that deliver stanzas.",
  repeatsCut: "Repeated deliveries that were cut.",
  routesReread: "Deliveries for which routes had to be read again.",
  bounced: "Stanzas that came back to their senders as errors.",
  shed: "Stanzas refused because too many of the same pair were waiting.",
  rerouted: "Messages of ended sessions that went on to somebody else or the store.",
  passedOverLost:
    "Messages that sessions of dead nodes might have missed, and that there was no room for.",
  failures: "Failures that were not expected; each is logged.",
  tasksAsked: "Times that modules of this node asked nodes to run a task.",
  tasksRun: "Tasks of modules run on this node.",
  tasksFailed: "Tasks of modules that failed on this node.",
  tasksShed: "Tasks not run because too many were running.",
} as const;

/** How much the router has in hand, which has limits: see router/router.ts. */
const IN_HAND = {
  laneTasks: "Stanzas that are on their way, or wait behind others of their sender and recipient.",
  repeatsRemembered: "Deliveries to users of this node that are remembered, to cut repeats.",
  wakesMissed: "Users online whose nodes are still to be told of stored messages.",
  passedOver: "Messages remembered for sessions of dead nodes that nobody has taken over.",
  tasksRunning: "Tasks of modules that run.",
  claims: "Claims that modules hold or ask for.",
} as const;

/** What routes in etcd keep in memory; nothing for a node alone. */
const ROUTES = {
  cachedUsers: "Users of other nodes whose routes are remembered: routes.cacheUsersMax at most.",
  knownUsers: "Users with a session on this node, whose routes are all known.",
  chores: "Writes to etcd that are in doubt, or failed, and are made again.",
} as const satisfies Record<keyof RoutesGauges, string>;

/** What the mesh counts: see mesh/settings.ts. */
const MESH = {
  requests: "Frames sent to other nodes.",
  handled: "Frames of other nodes that were handled.",
  handlerFailures: "Frames of other nodes that could not be handled.",
  bytesSent: "Bytes sent to other nodes.",
  bytesReceived: "Bytes received from other nodes.",
  writes: "Writes to sockets of other nodes.",
  dials: "Links dialled.",
  dialFailures: "Links that could not be made.",
  timeouts: "Frames without an answer in time.",
  overloads: "Frames not sent because too many were unanswered.",
  broken: "Links that broke.",
  malformed: "Links closed because a frame was malformed.",
  refused: "Links refused: certificate, protocol version or incarnation.",
} as const;

/** What the door for components counts: see components/contract.ts. */
const COMPONENTS = {
  connectionsRefused: "Connections of components turned away.",
  handshakesFailed: "Components that did not know their secret.",
  stanzasIn: "Stanzas that components sent.",
  stanzasOut: "Stanzas written to components.",
  streamErrors: "Streams of components ended with an error.",
} as const satisfies Record<keyof ComponentStats, string>;

/** What each kind of work asks of the store: see stores/budget.ts. Nothing on SQLite. */
const budgetMetrics = (name: BudgetName): readonly NodeMetric[] => {
  const read =
    (key: keyof BudgetCounts) =>
    ({ stores }: MetricSources) =>
      stores.budgets?.[name].counts[key] ?? 0;
  return [
    gauge(`store_${name}_in_flight`, `Calls of the store in flight: ${name}.`, read("inFlight")),
    gauge(`store_${name}_waiting`, `Calls of the store that wait: ${name}.`, read("waiting")),
    gauge(
      `store_${name}_suspended`,
      `1 while the store is not asked because it does not answer: ${name}.`,
      read("suspended"),
    ),
    counter(
      `store_${name}_suspensions`,
      `How often the store was not asked any more for a while: ${name}.`,
      read("suspensions"),
    ),
    counter(
      `store_${name}_refused`,
      `Calls of the store that were not made: too many before them, or suspended: ${name}.`,
      read("refused"),
    ),
  ];
};

const snake = (name: string): string => name.replace(/-|(?=[A-Z])/g, "_").toLowerCase();

const moduleMetrics = ({ name, metrics }: Module): readonly NodeMetric[] =>
  Object.entries(metrics).map(([key, { kind, help }]) => {
    const declare = kind === "gauge" ? gauge : counter;
    return declare(snake(`${name}_${key}`), help, ({ modules }) => modules[name]?.[key] ?? 0);
  });

type Helps = Readonly<Record<string, string>>;
type Numbers = (sources: MetricSources) => Readonly<Record<string, number>>;

const each =
  (declare: typeof gauge) =>
  (helps: Helps, room: string, numbers: Numbers): readonly NodeMetric[] =>
    Object.entries(helps).map(([key, help]) =>
      declare(snake(`${room}_${key}`), help, (sources) => numbers(sources)[key] ?? 0),
    );

const gaugesOf = each(gauge);
const countersOf = each(counter);

const NODE_METRICS: readonly NodeMetric[] = [
  gauge("sessions", "Sessions bound on this node.", (s) => s.door.sessions.size),
  gauge("sessions_waiting", "Sessions kept for clients to resume.", (s) => s.door.detached),
  gauge("connections", "Connections of clients.", (s) => door(s).connections),
  gauge("web_connections", "HTTP connections of clients.", ({ web }) => web?.connections ?? 0),
  counter("web_refused", "HTTP connections turned away.", ({ web }) => web?.refused ?? 0),
  gauge("bosh_sessions", "Sessions of BOSH.", ({ web }) => web?.bosh?.sessions ?? 0),
  gauge("bosh_held", "BOSH requests that wait.", ({ web }) => web?.bosh?.held ?? 0),
  counter(
    "bosh_elsewhere",
    "BOSH requests for sessions of other nodes: the load balancer is not sticky.",
    ({ web }) => web?.bosh?.elsewhere ?? 0,
  ),
  gauge("components", "Connections of components.", (s) => s.components?.table.size ?? 0),
  gauge("negotiating", "Streams that have no session yet.", (s) => s.door.negotiating),
  gauge("mesh_links", "Open links to other nodes.", ({ mesh }) => mesh?.stats.linksOpen ?? 0),
  gauge("mesh_unanswered", "Frames not answered yet.", ({ mesh }) => mesh?.stats.unanswered ?? 0),
  gauge("nodes", "Other nodes of the cluster.", (s) => s.routes.nodes.size),
  gauge(
    "nodes_lapsed",
    "Other nodes whose lease has lapsed and that are asked whether they go on.",
    ({ router }) => router.stats().lapsed ?? 0,
  ),
  gauge(
    "sessions_shadowed",
    "Sessions that another node has a copy of.",
    ({ router }) => router.stats().shadowed ?? 0,
  ),
  gauge(
    "sessions_unshadowed",
    "Sessions that can be resumed and that no other node can have a copy of now.",
    ({ router }) => router.stats().unshadowed ?? 0,
  ),
  gauge("copies", "Copies of other nodes' sessions.", ({ router }) => router.stats().copies ?? 0),
  gauge(
    "sessions_adopting",
    "Sessions of dead nodes that this node is taking over.",
    ({ router }) => router.stats().adopting ?? 0,
  ),
  ...gaugesOf(IN_HAND, "router", ({ router }) => router.stats()),
  ...gaugesOf(ROUTES, "routes", ({ routes }) => ({ ...routes.gauges })),
  gauge(
    "lease_held",
    "1 while this node may bind sessions: its lease is proven, or it is alone.",
    ({ routes }) => Number(routes.holdsLease),
  ),
  gauge(
    "senior",
    "1 on the node that is the senior of the cluster.",
    ({ router }) => router.stats().senior ?? 0,
  ),
  counter("connections_accepted", "Connections let in.", (s) => door(s).connectionsAccepted),
  counter("connections_refused", "Connections turned away.", (s) => door(s).connectionsRefused),
  counter("logins_succeeded", "Logins that succeeded.", (s) => door(s).loginsSucceeded),
  counter("logins_failed", "Logins that failed.", (s) => door(s).loginsFailed),
  counter(
    "logins_throttled",
    "Logins refused because too many passwords were wrong: for the address or the account.",
    (s) => s.failedLogins.counts.refused,
  ),
  counter(
    "logins_failed_untold",
    "Failed logins that other nodes were not told of: too many addresses or accounts in a second.",
    (s) => s.failedLogins.counts.untold,
  ),
  gauge(
    "loop_delay_ms",
    "How late timers of the event loop are, or what clients send is handled: see overload.loopDelayMs.",
    (s) => s.loopDelay.meanMs,
  ),
  gauge("logins_waiting", "Steps of logins that wait.", (s) => s.door.admission.waiting),
  ...URGENCIES.map((urgency) =>
    counter(
      `logins_shed_${urgency}`,
      `Steps of logins turned away under overload: ${urgency}.`,
      (s) => s.door.admission.shed(urgency),
    ),
  ),
  counter(
    "keys_added",
    "Accounts that got keys for SCRAM-SHA-512 at a login with PLAIN.",
    (s) => s.door.keyUpgrades.made,
  ),
  counter("keys_not_added", "Keys that could not be added.", (s) => s.door.keyUpgrades.failed),
  counter("logins_by_token", "Logins with a token (XEP-0484).", (s) => door(s).loginsByToken),
  counter("tokens_given", "Tokens given to clients.", (s) => door(s).tokensGiven),
  counter("sessions_bound", "Sessions that were bound.", (s) => door(s).sessionsBound),
  counter("sessions_ended", "Sessions that ended.", (s) => door(s).sessionsEnded),
  counter(
    "sessions_detached",
    "Sessions that lost their connection and were kept.",
    (s) => door(s).sessionsDetached,
  ),
  counter("sessions_resumed", "Sessions that were resumed.", (s) => door(s).sessionsResumed),
  counter(
    "sessions_expired",
    "Kept sessions that ended because nobody resumed them, or too many were kept.",
    (s) => door(s).sessionsExpired,
  ),
  counter(
    "sessions_moved_in",
    "Sessions taken over from other nodes.",
    (s) => door(s).sessionsMovedIn,
  ),
  counter(
    "sessions_moved_out",
    "Sessions that went on at other nodes.",
    (s) => door(s).sessionsMovedOut,
  ),
  counter("resumptions_failed", "Resumptions refused.", (s) => door(s).resumptionsFailed),
  counter("stream_errors", "Streams closed with an error.", (s) => door(s).streamErrors),
  counter("bytes_in", "Bytes read from clients.", (s) => door(s).bytesIn),
  counter("stanzas_in", "Stanzas read from clients.", (s) => door(s).stanzasIn),
  counter("stanzas_out", "Stanzas written to clients.", (s) => door(s).stanzasOut),
  counter(
    "stanzas_unacknowledged",
    "Stanzas handed back when their session ended.",
    (s) => door(s).stanzasUnacknowledged,
  ),
  counter(
    "session_endings_failed",
    "Ended sessions whose rest could not be handed over.",
    (s) => door(s).endingsFailed,
  ),
  ...countersOf(ROUTER, "router", ({ router }) => router.stats()),
  ...countersOf(MESH, "mesh", ({ mesh }) => mesh?.stats ?? {}),
  ...countersOf(COMPONENTS, "components", ({ components }) => ({ ...components?.stats })),
  ...BUDGETS.flatMap(budgetMetrics),
];

/** Those of a node with these modules. */
export const metricsOf = (modules: readonly Module[]): readonly NodeMetric[] => [
  ...NODE_METRICS,
  ...modules.flatMap(moduleMetrics),
];
