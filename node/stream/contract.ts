/** What a stream is to the room above it: negotiation first, then the session. */
import type { ParsedStanza } from "../xml/contract.ts";
import type { ServerStream } from "./stream.ts";

/** Whom a stream tells what happens on it. Replaced as the stream goes through its stages. */
export interface StreamOwner {
  /** The peer's header was right and ours has been sent: features come next (RFC 6120, 4.3.2). */
  onOpen(stream: ServerStream): void;
  /** One complete child of the stream, in order; also while our side is closing already. */
  onStanza(stream: ServerStream, stanza: ParsedStanza): void;
  /** Every byte written so far has been handed to the system. */
  onDrained(stream: ServerStream): void;
  /** Nothing will be read or delivered any more. Called once. */
  onOver(stream: ServerStream): void;
}

/** A stream error condition of RFC 6120, 4.9.3. */
export type StreamCondition =
  | "bad-format"
  | "bad-namespace-prefix"
  | "conflict"
  | "connection-timeout"
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
