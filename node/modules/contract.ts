/** All that a module sees: how it is declared, what it is given, what it may register. */
import type { z } from "zod";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Uploads } from "../http/upload/contract.ts";
import type { IqRequest as Request } from "../router/iq.ts";
import type { Registration, Router } from "../router/router.ts";
import type { BoundNote, ClientSession, InlineFeature, SessionTable } from "../session/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { Field, FilledForm, Heading } from "../stanza/form.ts";
import type { Jid } from "../stanza/jid.ts";
import type {
  Accounts,
  Archive,
  Credentials,
  Documents,
  Offline,
  Pubsub,
  Roster,
  RosterPatch,
  Rosters,
} from "../stores/contract.ts";
import type { Element } from "../xml/element.ts";

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
  stage,
} from "../router/stages.ts";
export type { ClientSession } from "../session/contract.ts";
export type { Envelope } from "../stanza/contract.ts";

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
  | "publish"
  | "after"
  | "tell"
  | "wake"
  | "disconnect"
  | "users"
  | "isAvailable"
  | "predecessorOf"
  | "claim"
  | "holderOf"
  | "isDead"
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
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Published by roster/. */
export interface RosterService {
  load(user: string): Promise<Roster>;
  /** Changes an item without telling anybody; `push` comes later. */
  update(user: string, contact: string, patch: RosterPatch): Promise<RosterChange>;
  /** Tells the user's interested resources of a change. Never rejects. */
  push(change: RosterChange): Promise<void>;
  /** Ends every subscription of the user, both ways, for an account that goes away. */
  cancelAll(user: string): Promise<void>;
  /** What a roster push says, or undefined for any other stanza. */
  readPush(envelope: Envelope): { contact: string; subscription: string } | undefined;
}

export interface RosterChange {
  readonly user: string;
  readonly contact: string;
  readonly version: string;
}

/** Published by presence/. */
export interface PresenceService {
  /** Called when a session has become available, with its user's roster. For `setup`. */
  watch(watcher: (session: ClientSession, roster: Roster) => void): void;
  /** Called with each available presence of a session before anybody sees it. For `setup`. */
  decorate(decorator: (session: ClientSession, presence: Envelope) => Decorated): void;
  /** Tells everybody who sees the session its last presence again, decorated anew. */
  renew(session: ClientSession): Promise<void>;
}

type Decorated = Envelope | Promise<Envelope>;

/** An item of a node of personal eventing. */
export interface PepItem {
  readonly id: string;
  readonly payload: Element | undefined;
}

export interface PepChange {
  readonly user: string;
  /** The item that was published; undefined when items, or all of them, were removed. */
  readonly published: PepItem | undefined;
}

/** Published by pubsub/: nodes of users, in the users' own names. */
export interface PepService {
  /** Undefined when there is no such node; otherwise its items, the oldest first. */
  items(user: string, node: string): Promise<readonly PepItem[] | undefined>;
  /** Makes the node if need be, as it is by default. @throws StanzaError; Unavailable */
  publish(user: string, node: string, item: { id: string; payload: Element }): Promise<void>;
  retract(user: string, node: string, ids: readonly string[]): Promise<void>;
  /** Called after items of a node have changed, on the node where it was. For `setup`. */
  watch(node: string, watcher: (change: PepChange) => Promise<void>): void;
  /** Called for every available session of a user, where it is, after the same. For `setup`. */
  watchSessions(node: string, watcher: (session: ClientSession) => void): void;
}

/** Published by caps/. */
export interface CapsService {
  /**
   * The features a session's client has said it has; undefined while they are not known. Of a client
   * whose answer proved true, other parts of what it says are among them: ask for names only.
   */
  features(session: ClientSession): ReadonlySet<string> | undefined;
  /** Called when they become known, and when they change. For `setup`. */
  watch(watcher: (session: ClientSession, features: ReadonlySet<string>) => void): void;
}

/** Published by blocking/. */
export interface BlockingService {
  /** Reads the list of a session that announces itself; `isBlocked` is exact afterwards. */
  follow(session: ClientSession): Promise<void>;
  /** Whether a user has cut off an address, as exactly as this node knows. Never rejects. */
  blocks(user: string, peer: Jid): boolean | Promise<boolean>;
  /** Whether the session's user has cut off this address. False before `follow`. */
  isBlocked(session: ClientSession, peer: Jid): boolean;
  /** Calls `watcher` for each session that follows, on its node, after its list has changed. */
  watch(
    watcher: (
      session: ClientSession,
      change: { readonly blocked: readonly string[]; readonly unblocked: readonly string[] },
    ) => void,
  ): void;
}

/** A picture in a vCard. */
export interface Photo {
  /** Its media type as the vCard says; "" when it says nothing. */
  readonly type: string;
  readonly bytes: Buffer;
  /** SHA-1 in hexadecimal digits. */
  readonly hash: string;
}

/** Published by vcard/. */
export interface VcardService {
  read(user: string): Promise<Element | undefined>;
  /** @throws StanzaError when it is too large; Unavailable */
  write(user: string, vcard: Element): Promise<void>;
  /** Of the picture; "" when there is none. */
  photoHash(user: string): Promise<string>;
  /** Calls `watcher` after a picture has changed, on the node where it was. For `setup`. */
  watch(watcher: (user: string, photo: Photo | undefined) => void | Promise<void>): void;
}

/** Published by archive/. */
export interface HistoryService {
  /** Whether the session got this message as a result of a query of its archive. */
  wasShown(session: ClientSession, envelope: Envelope): boolean;
}

/** What stands in for an element of private storage. `stored` is what private storage has itself. */
export interface PrivateKeeper {
  read(user: string, stored: Element | undefined): Promise<Element | undefined>;
  /** Answers with what private storage keeps. */
  write(user: string, element: Element): Promise<Element>;
}

/** Published by private. */
export interface PrivateStorageService {
  /** For `setup`. */
  keepElsewhere(name: string, ns: string, keeper: PrivateKeeper): void;
}

/** Services by name; a module that says `needs` receives them beside the host. */
export interface Services {
  readonly roster: RosterService;
  readonly caps: CapsService;
  readonly presence: PresenceService;
  readonly blocking: BlockingService;
  readonly vcard: VcardService;
  readonly pep: PepService;
  readonly private: PrivateStorageService;
  readonly history: HistoryService;
}

export type ServiceName = keyof Services;

export interface ServiceRegistration<Name extends ServiceName = ServiceName> {
  readonly kind: "service";
  readonly name: Name;
  readonly service: Services[Name];
}

export const service = <Name extends ServiceName>(
  name: Name,
  published: Services[Name],
): ServiceRegistration<Name> => ({ kind: "service", name, service: published });

/** XEP-0030, 3: what an entity is. */
export interface Identity {
  readonly category: string;
  readonly type: string;
  readonly name?: string;
}

/** What service discovery says of the server or of accounts, besides the modules' `features`. */
export interface DiscoRegistration {
  readonly kind: "disco";
  readonly target: "server" | "account";
  readonly identities?: readonly Identity[];
  /** For this target alone; a module's `features` are for both. */
  readonly features?: readonly string[];
  /** XEP-0128: more about the entity itself. */
  readonly forms?: () => readonly Element[];
  /** What a node says of itself, the children of the answer; undefined: it is not here. */
  readonly info?: (request: Request, node: string) => DiscoAnswer;
  /** The items of a node, or of the entity itself for ""; undefined: it is not here. */
  readonly items?: (request: Request, node: string) => DiscoAnswer;
}

type DiscoAnswer = readonly Element[] | undefined | Promise<readonly Element[] | undefined>;

export const disco = (
  target: DiscoRegistration["target"],
  said: Omit<DiscoRegistration, "kind" | "target">,
): DiscoRegistration => ({ kind: "disco", target, ...said });

/** An element among the features of a stream whose client has logged in. */
export interface AnnounceRegistration {
  readonly kind: "announce";
  /** Asked once, when every module is set up. */
  readonly element: () => Element;
}

export const announce = (element: AnnounceRegistration["element"]): AnnounceRegistration => ({
  kind: "announce",
  element,
});

/** A feature that a client may ask for while its resource is bound (XEP-0386). */
export interface InlineRegistration extends InlineFeature {
  readonly kind: "inline";
}

export const inline = (ns: string, enable: InlineFeature["enable"]): InlineRegistration => ({
  kind: "inline",
  ns,
  enable,
});

/** XEP-0050: something that is done by filling in at most one form. */
export interface CommandRegistration {
  readonly kind: "command";
  /** Its node in service discovery. */
  readonly node: string;
  readonly name: string;
  readonly access: "administrators" | "users";
  /** What is filled in first; a command without is done at once. */
  readonly form?: CommandForm;
  /** @throws StanzaError, which is the answer */
  readonly run: (given: CommandGiven) => CommandDone | Promise<CommandDone>;
}

export interface CommandForm extends Heading {
  readonly formType: string;
  readonly fields: readonly Field[];
}

export interface CommandGiven {
  readonly from: Jid;
  readonly fields: FilledForm["fields"];
}

export interface CommandDone {
  /** For people. */
  readonly note?: string;
  readonly result?: readonly Field[];
}

export const command = (
  node: string,
  declared: Omit<CommandRegistration, "kind" | "node">,
): CommandRegistration => ({ kind: "command", node, ...declared });

/** Told in `<bound/>` to every client whose resource is bound by XEP-0386; undefined: nothing. */
export interface BoundNoteRegistration extends BoundNote {
  readonly kind: "bound-note";
}

export const boundNote = (describe: BoundNote["describe"]): BoundNoteRegistration => ({
  kind: "bound-note",
  describe,
});

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

/** A number that a module keeps and that is read when metrics are collected. */
export interface ModuleMetric {
  readonly kind: "counter" | "gauge";
  /** One sentence. */
  readonly help: string;
}

export const counter = (help: string): ModuleMetric => ({ kind: "counter", help });
export const gauge = (help: string): ModuleMetric => ({ kind: "gauge", help });

type ModuleMetrics = Readonly<Record<string, ModuleMetric>>;

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
    setup: (host, options) => declared.setup(host, options),
  };
}
