/** Another server, started for a comparison: its accounts are there before it starts. */
import type { Running } from "../process.ts";

/** One account as it is written into a server's own store; every password is PASSWORD. */
export interface PeerAccount {
  readonly name: string;
  /** Contacts on the same domain, each with a subscription in both directions. */
  readonly contacts: readonly string[];
}

export interface PeerOptions {
  /** For its configuration, data and log; made by the caller. */
  readonly folder: string;
  readonly accounts: Iterable<PeerAccount>;
  /** PEM files, the same for every server in a comparison. */
  readonly certificate: string;
  readonly key: string;
  /** Every message of a user to a user goes into the archive (XEP-0313). */
  readonly archive: boolean;
  /** More of what the oracle's dialogues touch: ping, version, registration and so on. */
  readonly isComplete?: boolean;
}

export interface Peer {
  readonly name: string;
  readonly version: string;
  readonly pid: number;
  /** Processes that serve with it and are not its children. */
  readonly besides?: readonly number[];
  readonly plainPort: number;
  /** TLS from the first byte. */
  readonly tlsPort: number;
  readonly failed: Running["failed"];
  readonly stop: () => Promise<void>;
}

export const DOMAIN = "localhost";
