/** All that a module sees: how it is declared, what it is given; contract/ has what it may register. */
import type { z } from "zod";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Uploads } from "../http/upload/contract.ts";
import type { Registration } from "../router/registrations.ts";
import type { Router } from "../router/router.ts";
import type { SessionTable } from "../session/contract.ts";
import type { Jid } from "../stanza/jid.ts";
import type {
  Accounts,
  Archive,
  Credentials,
  Documents,
  Offline,
  Pubsub,
  Rosters,
} from "../stores/contract.ts";
import type { Element } from "../xml/element.ts";
import type { ClusterService } from "./contract/cluster.ts";
import type { ModuleMetrics } from "./contract/metrics.ts";
import type {
  AnnounceRegistration,
  BoundNoteRegistration,
  CommandRegistration,
  DiscoRegistration,
  InlineRegistration,
} from "./contract/registrations.ts";
import type { ServiceName, ServiceRegistration, Services } from "./contract/services.ts";

export type { Slot, Uploads } from "../http/upload/contract.ts";
export { carried, carriedFlag } from "../router/carried.ts";
export { type CopySide, copies } from "../router/copies.ts";
export type { IqRequest as Request } from "../router/iq.ts";
export { iq } from "../router/iq.ts";
export { on } from "../router/lifecycle.ts";
export type { Verdict } from "../router/stages.ts";
export {
  bounce,
  CONSUME,
  consume,
  EARLY,
  FIRST,
  LAST,
  LATE,
  MIDDLE,
  PASS,
  pass,
  REFUSE,
  stage,
} from "../router/stages.ts";
export type { TaskResult } from "../router/tasks.ts";
export { task } from "../router/tasks.ts";
export type { ClientSession } from "../session/contract.ts";
export type { Envelope } from "../stanza/contract.ts";
export { counter, gauge } from "./contract/metrics.ts";
export type {
  AnnounceRegistration,
  BoundNoteRegistration,
  CommandDone,
  CommandGiven,
  CommandRegistration,
  DiscoRegistration,
  Identity,
  InlineRegistration,
} from "./contract/registrations.ts";
export { announce, boundNote, command, disco, inline } from "./contract/registrations.ts";
export type {
  BlockingService,
  CapsService,
  Decorator,
  HistoryService,
  PepChange,
  PepItem,
  PepService,
  Photo,
  PresenceService,
  PrivateKeeper,
  PrivateStorageService,
  RosterChange,
  RosterService,
  ServiceName,
  ServiceRegistration,
  Services,
  VcardService,
} from "./contract/services.ts";
export { service } from "./contract/services.ts";

/** What modules may ask of the router. */
export type RouterServices = Pick<
  Router,
  | "route"
  | "refuse"
  | "answer"
  | "broadcast"
  | "push"
  | "reply"
  | "show"
  | "stateChanged"
  | "publish"
  | "after"
  | "tell"
  | "wake"
  | "disconnect"
  | "users"
  | "isAvailable"
  | "predecessorsOf"
  | "claim"
  | "whereabouts"
  | "isAlone"
  | "isDead"
  | "mayBeTwice"
  | "nowMs"
  | "deliveries"
>;

/** The world of a module. */
export interface Host {
  readonly accounts: Accounts;
  readonly rosters: Rosters;
  readonly offline: Offline;
  readonly archive: Archive;
  readonly documents: Documents;
  /** Undefined where the node takes no files. */
  readonly uploads: Uploads | undefined;
  readonly pubsub: Pubsub;
  readonly router: RouterServices;
  readonly cluster: ClusterService;
  readonly sessions: () => SessionTable;
  readonly domains: readonly string[];
  /** Domains of external components. */
  readonly components: readonly string[];
  /** Whether it is nobody's account but a guest's, of whom nothing is kept. */
  readonly isGuest: (user: Pick<Jid, "domain">) => boolean;
  readonly self: string;
  readonly software: { readonly name: string; readonly version: string };
  /** SCRAM keys of a password. @throws PasswordRefused */
  readonly credentialsFor: (password: string) => Promise<Credentials>;
  /** What service discovery answers, all modules together. Complete once every module is set up. */
  readonly features: () => readonly string[];
  /** What modules registered for service discovery. Complete once every module is set up. */
  readonly disco: () => readonly DiscoRegistration[];
  /** What modules registered to be done by filling in forms. Complete as above. */
  readonly commands: () => readonly CommandRegistration[];
  /** The children of the answer to disco#info about the server, or about any account. */
  readonly describe: (target: DiscoRegistration["target"]) => readonly Element[];
  /** The node is behind: what can as well be asked for later is to be refused. */
  readonly isBehind: () => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export type ModuleRegistration =
  | BoundNoteRegistration
  | Registration
  | CommandRegistration
  | ServiceRegistration
  | InlineRegistration
  | DiscoRegistration
  | AnnounceRegistration;

/** An extension a module implements, for the generated table. */
export interface Implemented {
  /** "XEP-0199" is 199; an RFC is given by `rfc`. */
  readonly xep: number;
  readonly version: string;
}

export interface Module {
  readonly name: string;
  /** What operators read about it, one sentence. */
  readonly about: string;
  readonly needs: readonly ServiceName[];
  readonly provides: readonly ServiceName[];
  readonly features: readonly string[];
  readonly implements: readonly Implemented[];
  /** Its options, declared with the kit of config/. */
  readonly options: z.ZodRawShape;
  /** By name in camel case; the metric "sent" of "push" is scraped as zonda_push_sent. */
  readonly metrics: ModuleMetrics;
  readonly setup: (host: never, options: never) => readonly ModuleRegistration[];
}

interface Declaration<
  Needs extends ServiceName,
  Shape extends z.ZodRawShape,
  Counted extends ModuleMetrics,
> {
  readonly name: string;
  readonly about: string;
  readonly needs?: readonly Needs[];
  readonly provides?: readonly ServiceName[];
  readonly features?: readonly string[];
  readonly implements?: readonly Implemented[];
  readonly options?: Shape;
  readonly metrics?: Counted;
  /**
   * Runs once, at boot. What it returns is all the module does.
   * `counts` are the module's metrics, plain numbers that it changes.
   */
  setup(
    host: Host & Pick<Services, Needs> & { readonly counts: Record<keyof Counted, number> },
    options: z.output<z.ZodObject<Shape>>,
  ): readonly ModuleRegistration[];
}

export function defineModule<
  const Needs extends ServiceName = never,
  Shape extends z.ZodRawShape = Record<never, never>,
  const Counted extends ModuleMetrics = Record<never, never>,
>(declared: Declaration<Needs, Shape, Counted>): Module {
  return {
    name: declared.name,
    about: declared.about,
    needs: declared.needs ?? [],
    provides: declared.provides ?? [],
    features: declared.features ?? [],
    implements: declared.implements ?? [],
    options: declared.options ?? {},
    metrics: declared.metrics ?? {},
    setup: declared.setup,
  };
}
