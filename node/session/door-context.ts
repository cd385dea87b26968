/** What everything behind one client door shares. Made by openClientDoor. */

import type { LRUCache } from "lru-cache";
import type { AuthServices } from "../auth/contract.ts";
import type { PasswordMechanism } from "../auth/offer.ts";
import type { TokenKeeper } from "../auth/tokens.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { AddressGuard } from "../guard/address-guard.ts";
import type { Admission } from "../guard/admission.ts";
import type { Captchas } from "../guard/captcha.ts";
import type { FailedLogins } from "../guard/failed-logins.ts";
import type { Routes } from "../routes/contract.ts";
import type { EntryFeaturesSaid } from "../stream/features.ts";
import type { StreamStats } from "../stream/stream.ts";
import type { BoundNote, InlineFeature, SessionEvents } from "./contract.ts";
import type { Detached } from "./detached.ts";
import type { Inbox } from "./inbox.ts";
import type { Session } from "./session.ts";
import type { Sessions } from "./table.ts";

/** The part of the configuration that is about clients; `c2s` of the node's has this shape. */
export interface ClientDoorConfig {
  readonly host: string;
  /** For STARTTLS; 0 lets the system choose. */
  readonly port: number;
  /** XEP-0368; not offered when left out. */
  readonly directTls?: { readonly port?: number | undefined } | undefined;
  /** Clients that come through a proxy which speaks the PROXY protocol; not offered without a port. */
  readonly proxied?:
    | { readonly port?: number | undefined; readonly trustedProxies: readonly string[] }
    | undefined;
  /** `required`: nothing is said before TLS. */
  readonly tls: "required" | "offered";
  /** With `offered`: clients on loopback may log in without TLS. */
  readonly plaintextAuthOnLoopback: boolean;
  readonly stanzaBytesMax: number;
  readonly connectionsMax: number;
  /** 0 for no limit, as for the next. */
  readonly connectionsPerAddressMax: number;
  readonly failedLoginsPerAddressPerMinute: number;
  readonly failedLoginsPerAccountPerMinute: number;
  /** From connecting to having bound a resource. */
  readonly negotiationSeconds: number;
  /** Stanzas a client may leave unacknowledged before it is disconnected. */
  readonly outboxStanzasMax: number;
  /** XEP-0198: how long a client may take to resume its session; 0: it cannot. */
  readonly resumeSeconds: number;
  /** Sessions that wait for their clients at once. */
  readonly detachedMax: number;
}

/** Bounds that no configuration changes; tests hand in smaller ones. */
export interface DoorLimits {
  /** RFC 6120, 13.12: at least 10,000. */
  readonly unauthenticatedStanzaBytesMax: number;
  /** Bytes that may wait for a slow client before it is dropped. */
  readonly waitingBytesMax: number;
  /** Failed logins on one stream (RFC 6120, 6.4.5: two to five). */
  readonly failedLoginsPerStreamMax: number;
  /** Stanzas of one session that may wait for the router. */
  readonly unacceptedMax: number;
  /** Bytes of stanzas that a client may leave unacknowledged. */
  readonly outboxBytesMax: number;
  /** How long a resumption waits for stanzas that are being accepted. */
  readonly acceptMs: number;
  /** How long a session is looked for whose node does not answer: longer than its lease may last. */
  readonly findMs: number;
  /** Stanzas that may wait behind a step of the negotiation. */
  readonly queuedStanzasMax: number;
  /** Steps of logins at once, those of them with a password, and those that may wait. */
  readonly loginPlacesMax: number;
  readonly passwordPlacesMax: number;
  readonly loginsWaitingMax: number;
  /** How long a peer gets to end its side of a stream. */
  readonly lingerMs: number;
  /** How often connections are looked over for silence and stalls. */
  readonly sweepMs: number;
  /** Silent sweeps before a whitespace keepalive, and before an unanswered client is dropped. */
  readonly keepAliveSweeps: number;
  readonly unansweredSweeps: number;
  /** Attempts to hand over what a session left behind, and the longest pause between them. */
  readonly endingAttempts: number;
  readonly endingPauseMaxMs: number;
}

export const DEFAULT_LIMITS: DoorLimits = {
  unauthenticatedStanzaBytesMax: 10_000,
  waitingBytesMax: 4 * 1024 * 1024,
  failedLoginsPerStreamMax: 5,
  unacceptedMax: 64,
  outboxBytesMax: 16 * 1024 * 1024,
  acceptMs: 10_000,
  findMs: 20_000,
  queuedStanzasMax: 64,
  loginPlacesMax: 256,
  passwordPlacesMax: 32,
  loginsWaitingMax: 4_000,
  lingerMs: 2_000,
  sweepMs: 15_000,
  keepAliveSweeps: 16,
  unansweredSweeps: 8,
  endingAttempts: 6,
  endingPauseMaxMs: 4_000,
};

/** XEP-0077 before login, done by whoever keeps the accounts. */
export interface Registration {
  readonly enabled: boolean;
  /** Undefined: programs may make accounts, too. */
  readonly captchas?: Pick<Captchas, "make" | "solve"> | undefined;
  /** @param user a prepared bare address; @param address the client's network address */
  register(user: string, password: string, address: string): Promise<RegistrationOutcome>;
}

export type RegistrationOutcome = "created" | "exists" | "refused";

/** Plain counters, read by the metrics. */
export interface DoorStats extends StreamStats {
  connections: number;
  connectionsAccepted: number;
  connectionsRefused: number;
  loginsSucceeded: number;
  loginsFailed: number;
  /** Of those that succeeded. */
  loginsByToken: number;
  tokensGiven: number;
  sessionsBound: number;
  sessionsEnded: number;
  sessionsDetached: number;
  sessionsResumed: number;
  /** Sessions taken over from other nodes, and by them. */
  sessionsMovedIn: number;
  sessionsMovedOut: number;
  /** Detached sessions whose clients did not come back in time. */
  sessionsExpired: number;
  resumptionsFailed: number;
  /** Stanzas handed back for rerouting when their session ended. */
  stanzasUnacknowledged: number;
  /** Sessions whose end could not be handed over. */
  endingsFailed: number;
}

export type DoorRoutes = Pick<
  Routes,
  "bind" | "unbind" | "read" | "takeOver" | "nodes" | "holdsLease"
>;

/** A resumable session that is over. */
export interface Former {
  /** Its bare address. */
  readonly user: string;
  readonly inbox: Pick<Inbox, "handled" | "whenAccepted">;
}

export interface Door {
  readonly config: ClientDoorConfig;
  readonly limits: DoorLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly routes: DoorRoutes;
  readonly selfIncarnation: string;
  readonly events: SessionEvents;
  readonly registration: Registration | undefined;
  /** What others add to the features of a stream whose client has logged in, as XML. */
  readonly announced: string;
  readonly entryFeatures: EntryFeaturesSaid;
  /** What such a stream is offered as long as nothing is bound. */
  readonly boundFeatures: Buffer;
  /** What a client may ask others for while its resource is bound, by namespace. */
  readonly inline: ReadonlyMap<string, InlineFeature>;
  /** What others tell a client whose resource is bound along with its login. */
  readonly boundNotes: readonly BoundNote[];
  /** The same on all nodes: names resources that stay the same. */
  readonly resourceSecret: Buffer;
  readonly auth: AuthServices;
  readonly mechanisms: readonly PasswordMechanism[];
  /** Undefined: clients are given no tokens. */
  readonly tokens: TokenKeeper | undefined;
  /** Domains whose users are guests: everybody logs in, and nothing is kept of them. */
  readonly anonymousDomains: ReadonlySet<string>;
  readonly guard: AddressGuard;
  readonly failedLogins: FailedLogins;
  readonly admission: Admission;
  readonly sessions: Sessions<Session>;
  /** Those of them that wait for their clients. */
  readonly detached: Detached<Session>;
  /** What is remembered of those that were resumable, by id. */
  readonly formerly: LRUCache<string, Former>;
  readonly log: Logger;
  readonly stats: DoorStats;
  /** Set once: no new streams, and nobody is bound any more. */
  isDraining: boolean;
  /** Set once, later: sessions do not wait for other nodes any more. */
  isEnding: boolean;
  /** Handing over what sessions left behind, still going on. */
  readonly endings: Set<Promise<void>>;
  /** Aborted when the drain's deadline has passed: nothing is retried after it. */
  readonly givingUp: AbortController;
}
