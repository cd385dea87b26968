/** What the parts of the mesh share: who we are, how we prove it, what is bounded, what is counted. */
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { ProtocolRange } from "./hello.ts";
import type { Wires } from "./wires.ts";

export interface MeshTls {
  /** PEM of the cluster's certificate authority. */
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

export interface MeshLimits {
  /** Largest payload of a request or an answer. */
  readonly frameBytesMax: number;
  /** Bytes sent to one peer and not answered. */
  readonly unansweredBytesMax: number;
  /** Requests sent to one peer and not answered. */
  readonly unansweredMax: number;
  /** A request without an answer after this long has failed. */
  readonly requestMs: number;
  /** From dialling to the peer's hello. */
  readonly handshakeMs: number;
  /** After this long without a byte from a peer it is pinged. */
  readonly idleMs: number;
  /** After this long without a byte from a peer its link is closed. */
  readonly deadMs: number;
  /** After a dial failed, requests fail at once for this long; doubled up to the maximum. */
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  /** How long dispose waits for answers in flight. */
  readonly drainMs: number;
  /**
   * Connections accepted at once: one for each other node, and another while that dials anew. Each takes some
   * 55 KiB, before it has shown a certificate as well.
   */
  readonly connectionsMax: number;
}

export const DEFAULT_LIMITS: MeshLimits = {
  frameBytesMax: 8 * 1024 * 1024,
  unansweredBytesMax: 32 * 1024 * 1024,
  unansweredMax: 20_000,
  requestMs: 5_000,
  handshakeMs: 5_000,
  idleMs: 5_000,
  deadMs: 10_000,
  backoffMinMs: 100,
  backoffMaxMs: 3_000,
  drainMs: 2_000,
  connectionsMax: 4_096,
};

/** Counters since the start, and gauges; plain numbers that metrics read when asked. */
export const newStats = () => ({
  /** Gauges. */
  linksOpen: 0,
  acceptedOpen: 0,
  unanswered: 0,
  unansweredBytes: 0,
  /** Counters. */
  requests: 0,
  handled: 0,
  handlerFailures: 0,
  bytesSent: 0,
  bytesReceived: 0,
  writes: 0,
  dials: 0,
  dialFailures: 0,
  timeouts: 0,
  overloads: 0,
  broken: 0,
  malformed: 0,
  refused: 0,
});
export type MeshStats = ReturnType<typeof newStats>;

export interface MeshSettings {
  readonly incarnation: string;
  readonly protocol: ProtocolRange;
  readonly tls: MeshTls;
  /** The name every node's certificate carries. */
  readonly serverName: string;
  readonly limits: MeshLimits;
  readonly clock: Clock;
  readonly log: Logger;
  readonly stats: MeshStats;
  readonly wires: Wires;
  readonly onRefused: (incarnation: string) => void;
}
