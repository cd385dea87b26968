/** What modules give each other: services by name, each published by one module. */
import type { ClientSession } from "../../session/contract.ts";
import type { Envelope } from "../../stanza/contract.ts";
import type { Jid } from "../../stanza/jid.ts";
import type { Roster, RosterPatch } from "../../stores/contract.ts";
import type { Element } from "../../xml/element.ts";

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
  watch(watcher: (session: ClientSession, roster: Pick<Roster, "items">) => void): void;
  /** For `setup`. */
  decorate(decorator: Decorator): void;
  /** Tells everybody who sees the session its last presence again, decorated anew. */
  renew(session: ClientSession): Promise<void>;
}

/**
 * Called with each available presence of a session before anybody sees it; `isAgain`: not as its
 * client sent it, but as it was decorated last.
 */
export type Decorator = (
  session: ClientSession,
  presence: Envelope,
  isAgain: boolean,
) => Envelope | Promise<Envelope>;

/** An item of a node of personal eventing. */
export interface PepItem {
  readonly id: string;
  readonly payload: Element | undefined;
}

export interface PepChange {
  readonly user: string;
  /** The item that was published; undefined when items, or all of them, were removed. */
  readonly published: PepItem | undefined;
  /** The item that was the node's last one before. */
  readonly before: PepItem | undefined;
}

/** Published by pubsub/: nodes of users, in the users' own names. */
export interface PepService {
  /** Undefined when there is no such node; otherwise its items, the oldest first. */
  items(user: string, node: string): Promise<readonly PepItem[] | undefined>;
  /** Makes the node if need be, as it is by default. @throws StanzaError; Unavailable */
  publish(user: string, node: string, item: { id: string; payload: Element }): Promise<void>;
  retract(user: string, node: string, ids: readonly string[]): Promise<void>;
  /**
   * Called after a client has changed items of a node, on the node where it was, before anybody is
   * told of it; not for what modules publish and retract. For `setup`.
   */
  watch(node: string, watcher: (change: PepChange) => Promise<void>): void;
  /** The same, when all have been told: what is published then comes behind it. For `setup`. */
  watchTold(node: string, watcher: (change: PepChange) => Promise<void>): void;
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
  /** Whether the session's user has cut off this prepared address. False before `follow`. */
  isBlocked(session: ClientSession, peer: Jid | string): boolean;
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
