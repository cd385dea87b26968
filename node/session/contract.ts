/** The client door's face towards the router. */

import type { Route } from "../routes/contract.ts";
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
  /** Ends the stream with an error condition of RFC 6120, 4.9.3, or plainly without one. */
  close(condition?: string, text?: string): void;
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
}

/** What a session can have enabled while it is bound, by XEP-0386. */
export interface InlineFeature {
  /** Announced by it, and the namespace of the element that asks for it. */
  readonly ns: string;
  /** Enables it; what it answers goes into `<bound/>`. A rejection undoes the bind. */
  enable(session: ClientSession, request: Element): InlineAnswer;
}

export type InlineAnswer = Element | undefined | Promise<Element | undefined>;

/** The sessions of this node. */
export interface SessionTable {
  readonly size: number;
  get(fullJid: string): ClientSession | undefined;
  ofUser(bareJid: string): readonly ClientSession[];
  all(): Iterable<ClientSession>;
}
