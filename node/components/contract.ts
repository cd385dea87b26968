/** External components (XEP-0114): the face of their door towards the router. */
import type { Route } from "../routes/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { Jid } from "../stanza/jid.ts";
import type { ParsedStanza } from "../xml/contract.ts";

/** One connection that speaks for a domain; several may, and share its load. */
export interface ComponentConnection {
  readonly id: string;
  /** Its domain with a resource of its own, by which other nodes find it. */
  readonly jid: Jid;
  readonly route: Route;
  /** In call order. False when it is over or too slow: another connection may take it. */
  deliver(envelope: Envelope): boolean;
  /** Ends the stream with a condition of RFC 6120, 4.9.3. */
  close(condition: string): void;
}

/** The connections of this node. */
export interface ComponentTable {
  readonly size: number;
  get(full: string): ComponentConnection | undefined;
}

/** What main.ts hands to the door. */
export interface ComponentEvents {
  /**
   * A stanza in the name of `from`, an address of the component's domain. Called in order; the
   * promise resolves when it is accepted.
   * @param count its place among the stanzas of this connection, from 1
   */
  onComponentStanza(
    connection: ComponentConnection,
    from: Jid,
    stanza: ParsedStanza,
    count: number,
  ): void | Promise<void>;
  /** It is over, its route still published until this resolves. `unsent` was certainly not sent. */
  onComponentEnded(connection: ComponentConnection, unsent: readonly Envelope[]): Promise<void>;
}

/** Plain counters, read by the metrics. */
export interface ComponentStats {
  connectionsRefused: number;
  handshakesFailed: number;
  stanzasIn: number;
  stanzasOut: number;
  streamErrors: number;
}
