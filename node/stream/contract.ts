/**
 * What a stream is to the room above it, and what a transport is to a stream: TCP (RFC 6120),
 * WebSocket (RFC 7395) and BOSH (XEP-0124) are engines of the latter, and nobody above can tell.
 */
import type { ParsedStanza } from "../xml/contract.ts";
import type { ChannelBindingType } from "./channel-binding.ts";
import type { ServerStream } from "./stream.ts";
import type { TlsContexts } from "./tls.ts";

/** Whom a stream tells what happens on it. Replaced as the stream goes through its stages. */
export interface StreamOwner {
  /** The peer's header was right and ours has been sent: features come next (RFC 6120, 4.3.2). */
  onOpen(stream: ServerStream): void;
  /** One complete child of the stream, in order; also while our side is closing already. */
  onStanza(stream: ServerStream, stanza: ParsedStanza): void;
  /** The peer has taken more of what was written: see `Transport.writesDone`. */
  onDrained(stream: ServerStream): void;
  /** Nothing will be read or delivered any more. Called once. */
  onOver(stream: ServerStream, end: StreamEnd): void;
}

/** Who ended a stream: whoever spoke first. */
export type StreamEnd =
  /** The peer, with its end tag. */
  | { readonly kind: "closed" }
  /** We did, with an error unless there is no condition. */
  | { readonly kind: "ended"; readonly condition: string | undefined }
  /** Nobody said a word: the connection broke, or was dropped. */
  | { readonly kind: "lost" };

/** A stream error condition of RFC 6120, 4.9.3. */
export type StreamCondition =
  | "bad-format"
  | "bad-namespace-prefix"
  | "conflict"
  | "connection-timeout"
  | "host-gone"
  | "host-unknown"
  | "internal-server-error"
  | "invalid-from"
  | "invalid-namespace"
  | "invalid-xml"
  | "not-authorized"
  | "not-well-formed"
  | "policy-violation"
  | "reset"
  | "resource-constraint"
  | "restricted-xml"
  | "system-shutdown"
  | "undefined-condition"
  | "unsupported-encoding"
  | "unsupported-stanza-type"
  | "unsupported-version";

/** Why and how a stream is closed. */
export interface StreamFailure {
  /** One of {@link StreamCondition}; others come from above and must be defined there. */
  readonly condition: string;
  /** A sentence for people. */
  readonly text?: string;
  /** An application-specific condition, already XML. */
  readonly application?: string;
}

/** What a peer's stream header said, in whatever form its transport writes one. */
export interface PeerHeader {
  readonly to: string | undefined;
  readonly from: string | undefined;
  readonly version: string | undefined;
  readonly lang: string | undefined;
  /** What is wrong with its form already. */
  readonly fault?: StreamCondition | undefined;
}

/** Our answer to it. */
export interface OwnHeader {
  readonly from: string;
  readonly id: string;
  /** Echoes the peer's own address, if it gave one (RFC 6120, 4.7.2). */
  readonly to: string | undefined;
}

/** Whom a transport tells what comes from the peer and what becomes of it. */
export interface TransportOwner {
  onHeader(header: PeerHeader): void;
  onStanza(stanza: ParsedStanza): void;
  /** The peer has ended its side of the stream. */
  onEnd(): void;
  /** XmlError: what the peer sent cannot be read. Anything else is a bug of ours. */
  onBroken(error: unknown): void;
  /** Bytes came in, for the count. */
  onReceived(bytes: number): void;
  /** `writesDone` has grown. */
  onDrained(): void;
  /** Once: the peer is gone. Nothing else is told after it. */
  onClosed(): void;
}

/** What carries one stream. Its owner must be set in the turn it is made in. */
export interface Transport {
  owner: TransportOwner | undefined;
  readonly remoteAddress: string;
  /** Whether nobody on the way can read along. */
  readonly isSecure: boolean;
  /** Whether `startTls` may be called: never on what came over HTTP (RFC 7395, 3.9). */
  readonly canStartTls: boolean;
  /** What a login can be bound to; empty without TLS of our own. */
  channelBindings(): ReadonlyMap<ChannelBindingType, Buffer>;
  /** The addresses that the client's certificate proves, as they stand in it. */
  certifiedAddresses(): readonly string[];
  /** Whether what is written now waits behind something that the peer has not taken. */
  readonly isBacklogged: boolean;
  /** Writes that were taken: by the system for TCP, by the client itself for BOSH. */
  readonly writesDone: number;
  /** What `writesDone` will be when everything written so far is taken. */
  readonly writesNeeded: number;
  /** Writes that count as received if the peer is lost now; what came after them is given back. */
  readonly writesOut: number;
  /** Sweeps since something came in, and since something was last taken of what waits. */
  readonly silentSweeps: number;
  readonly stalledSweeps: number;
  /** Counts silence and stalls; called at a fixed pace. */
  sweep(): void;
  writeHeader(header: OwnHeader): void;
  /** Queues one child of the stream. False when it was not taken: the peer is gone or too slow. */
  write(bytes: Buffer): boolean;
  /** Queues the end of our side, after an error if one is given. */
  writeEnd(failure: StreamFailure | undefined): void;
  /** Shows both ends, and what is between them, that the stream lives. */
  keepAlive(): void;
  pause(): void;
  resume(): void;
  setStanzaLimit(bytes: number): void;
  /** Expects a new header next. */
  restart(): void;
  /** Reads nothing any more; what comes is thrown away. */
  stop(): void;
  /** Becomes TLS once everything written is out, with the domain's certificate; see `restart`. */
  startTls(contexts: TlsContexts, domain: string): void;
  /** Sends what is queued and closes. */
  end(): void;
  /** Drops the peer now. */
  destroy(): void;
}

/** What transports come in through: the client door. */
export interface Gate {
  /** Undefined lets the address in, and counts it; otherwise why it is turned away. */
  admit(address: string): StreamCondition | undefined;
  /** Counts out an address that was let in, when no transport came of it. */
  release(address: string): void;
  onTransport(transport: Transport): void;
}

/** Bounds that hold for every transport of a door. */
export interface TransportLimits {
  /** Size of a stanza before login, and after it. */
  readonly unauthenticatedStanzaBytesMax: number;
  readonly stanzaBytesMax: number;
  /** Bytes that may wait for a slow peer before it is dropped. */
  readonly waitingBytesMax: number;
}
