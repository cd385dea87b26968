/** The client door's face towards the router. */

import type { CopyOrigin, Route } from "../routes/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { Jid } from "../stanza/jid.ts";
import type { ParsedStanza } from "../xml/contract.ts";
import type { Element } from "../xml/element.ts";

/** One bound client session on this node. */
export interface ClientSession {
  readonly id: string;
  readonly jid: Jid;
  /** Changed by the presence module through the router, published by Routes.update. */
  route: Route;
  /** Features and modules keep small per-session state here, by module name. */
  readonly state: Map<string, unknown>;
  /** The stream's `xml:lang`: the language of stanzas that declare none (RFC 6120, 8.1.5). */
  readonly lang?: string | undefined;
  /**
   * Hands a stanza to the client, in call order, and remembers messages and everything else that
   * XEP-0198 counts until the client acknowledged it (if it enabled acknowledgements).
   * False when the session has ended or its outbox is full: the caller must find another way.
   */
  deliver(envelope: Envelope): boolean;
  /**
   * Hands over server-made bytes that nobody needs to see re-routed (iq results, pushes): exactly
   * one stanza a call, because XEP-0198 counts it.
   */
  send(bytes: Buffer): boolean;
  /**
   * Resolves with true when the client has acknowledged all that `deliver` took so far (without
   * XEP-0198: when the socket has taken it), with false when the session ended before that. The
   * offline store keeps a message until then. Absent: delivered counts as acknowledged.
   */
  whenAcknowledged?(): Promise<boolean>;
  /**
   * Its stream broke and its client may resume it (XEP-0198): it takes stanzas, nobody reads them
   * now.
   */
  readonly isDetached?: boolean;
  /** Its node died: what its client sends may have been accepted there before; until it has sent all that again. */
  readonly mayRepeat?: boolean | undefined;
  /** It is on its way to or from another node: what comes for it waits until this settles. */
  readonly moving?: Promise<void> | undefined;
  /** Ends the stream with an error condition of RFC 6120, 4.9.3, or plainly without one. */
  close(condition?: string, text?: string): void;
}

/** What another node needs to go on with a session. */
export interface SessionState {
  readonly route: Route;
  readonly lang: string | undefined;
  /** See ClientSession. */
  readonly mayRepeat: boolean;
  /** How long its client may stay away. */
  readonly windowMs: number;
  /** Stanzas of its client, all of them accepted. */
  readonly received: number;
  /** How many of them came before `h` began to count. */
  readonly countedFrom: number;
  /** The client's last `h`. */
  readonly acknowledged: number;
  /** What it has not acknowledged, in order; bytes alone are not worth rerouting. */
  readonly waiting: readonly (Envelope | Buffer)[];
  /**
   * After the death of its node, until its client is back: how many of `waiting` came from there. The
   * client may have got more from it, which nobody else knows of.
   */
  readonly inherited: number | undefined;
}

/** How far a session has come; what changes most. */
export interface SessionProgress {
  /** As in SessionState. */
  readonly received: number;
  readonly acknowledged: number;
  /** Of the stanzas that this node has sent or taken over: how many are acknowledged, and how many there are. */
  readonly acknowledgedTotal: number;
  readonly sentTotal: number;
  /** As in SessionState. */
  readonly inherited: number | undefined;
}

/** A session that can go on at another node. */
export interface MovableSession extends ClientSession {
  /** Undefined when it has ended. */
  readonly progress: SessionProgress | undefined;
  /** What was sent and not acknowledged, by its place: see SessionProgress. */
  sentAt(place: number): Envelope | Buffer | undefined;
  /**
   * Its client may have what is for it up to that place (see SessionProgress), if that was withheld.
   * False when there is more that is.
   */
  letOut(until: number): boolean;
  /** What its client sent is taken again: see Shadow.holds. */
  goOn(): void;
  /** All that another node would need, as it is now. */
  snapshot(): SessionState;
  /**
   * Ends its stream and stands still once all that its client sent is accepted, so that what it has
   * can be given away: until `thaw` or `forget` it takes nothing. Undefined when it cannot now.
   */
  freeze(): Promise<SessionState | undefined>;
  /** It stays, and waits for its client again. */
  thaw(): void;
  /** It has gone on elsewhere: nobody is told anything. @returns what it had for its client */
  forget(): readonly Envelope[];
}

export const isMovable = (session: ClientSession): session is MovableSession =>
  "freeze" in session && "forget" in session;

/** A session that another node has given away or left, before it is ours. */
export interface Incoming {
  readonly state: SessionState;
  /** Its node is dead. */
  readonly copy?: CopyOrigin | undefined;
  /**
   * What it was passed over for while its node was dead; asked for when it is ours. Never rejects.
   * @returns gives it to the session, as the first thing that it takes
   */
  readonly catchUp?: ((session: ClientSession) => Promise<() => void>) | undefined;
  /** Gives our session what its modules and the router knew of it. */
  install(session: ClientSession): void;
  /** It is not ours after all: what was installed says nothing of what its client has. */
  undo(session: ClientSession, left: readonly Envelope[]): void;
  /** It is ours now: the modules may go on with it. */
  onTaken(session: ClientSession): void;
}

/** The node that has a copy of each session that can be resumed. */
export interface Shadow {
  begin(session: MovableSession): void;
  /** Something that its next node must know. */
  changed(session: ClientSession): void;
  /** The same for what its client has acknowledged: it may wait some milliseconds for other things. */
  acknowledged(session: ClientSession): void;
  /** The same for what its client sent: soon is soon enough, unless somebody waits for it. */
  progressed(session: ClientSession): void;
  /** Whether what is for its client waits until the copy has it: see MovableSession.letOut. */
  withholds(session: MovableSession): boolean;
  /**
   * Whether it is not known yet that the session is this node's still. What its client sends waits until it
   * is (MovableSession.goOn); should the stream end before, that was never taken.
   */
  holds(session: MovableSession): boolean;
  /**
   * Undefined when the copy has all of it; otherwise settles as soon as it has all that there is now,
   * with false when the session turns out to be another node's.
   */
  settled(session: ClientSession): Promise<boolean> | undefined;
  /** Another node has a copy of all of it. */
  isSafe(session: ClientSession): boolean;
  /** It has ended, and is being passed on: nobody waits for its copy any more, which stays. */
  close(session: ClientSession): void;
  /** It has ended, with everything that belongs to that, or is another node's. */
  end(session: ClientSession): void;
  /**
   * This node goes soon. Resolves when no other node relies on the copies that are here, and all that
   * dead nodes left here is ours. Never rejects.
   */
  leave(): Promise<void>;
  /**
   * Asks other nodes to go on with a session that waits for its client here. Resolves when one does, or
   * none can at this moment. Never rejects.
   */
  offer(session: ClientSession): Promise<void>;
  /** What is here still is left to the copies: whoever says now that it has none must be told no. */
  left(): void;
}

/** What main.ts hands to the client door: upward traffic goes through these. */
export interface SessionEvents {
  /**
   * A complete stanza from a bound session. Called in order; the returned promise resolves when the
   * stanza is accepted, that is answered, delivered to the exit node or stored. XEP-0198's `h`
   * counts only accepted stanzas.
   * @param count its place among the stanzas of this session, from 1; a client that sends it again
   *   after a resumption sends it at the same place
   */
  onStanza(session: ClientSession, stanza: ParsedStanza, count: number): void | Promise<void>;
  /**
   * After the route is committed and before the bind result is sent. A `replaced` session of another
   * node is the router's to end; one of this node has been ended by the door.
   */
  onBound(session: ClientSession, replaced: Route | undefined): void | Promise<void>;
  /** XEP-0352: the client says whether somebody looks at it. A new or resumed session is active. */
  onClientState(session: ClientSession, isActive: boolean): void;
  /**
   * The session is over, its route still published until this resolves. `unacknowledged` holds, in
   * order, the stanzas that the client did not acknowledge, for rerouting.
   */
  onEnded(session: ClientSession, unacknowledged: readonly Envelope[]): Promise<void>;
  /** Its stream is gone, and the session waits for its client: see ClientSession.isDetached. */
  onDetached?(session: ClientSession): void;
  /** Its client is back, on another stream. */
  onResumed?(session: ClientSession): void;
  /** Absent for a node alone. */
  readonly shadow?: Shadow | undefined;
  /**
   * Whether another node goes on with this session of a dead node; "perhaps": if it turns out dead.
   * @param isPatient if one does, it answers when it has the session, or after two seconds
   */
  isKept?(
    user: string,
    sessionId: string,
    isPatient?: boolean,
  ): Promise<"kept" | "perhaps" | "gone">;
  /**
   * Asks the node that `route` names for its session. "gone": it does not have it; "later": it
   * cannot give it away now; "away": it did not answer. Absent for a node alone.
   */
  fetchSession?(route: Route): Promise<Incoming | "gone" | "later" | "away">;
}

/** What a session can have enabled while it is bound, by XEP-0386. */
export interface InlineFeature {
  /** Announced by it, and the namespace of the element that asks for it. */
  readonly ns: string;
  /** Enables it; what it answers goes into `<bound/>`. A rejection undoes the bind. */
  enable(session: ClientSession, request: Element): InlineAnswer;
}

/** What every client is told whose resource is bound by XEP-0386, whether it asked or not. */
export interface BoundNote {
  describe(session: ClientSession): InlineAnswer;
}

export type InlineAnswer = Element | undefined | Promise<Element | undefined>;

/** The sessions of this node. */
export interface SessionTable {
  readonly size: number;
  get(fullJid: string): ClientSession | undefined;
  ofUser(bareJid: string): readonly ClientSession[];
  all(): Iterable<ClientSession>;
}

/** Which of this node's sessions that is, if it is here, at whatever address. */
export const sessionAt = <S extends ClientSession>(
  sessions: { ofUser(bareJid: string): readonly S[] },
  { user, session }: Pick<Route, "user" | "session">,
): S | undefined => {
  for (const one of sessions.ofUser(user)) if (one.id === session) return one;
  return undefined;
};
