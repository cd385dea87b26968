/** What the shared suites are made of. */
import { randomUUID } from "node:crypto";
import type { Credentials, OfflineMessage, StoredToken, Stores } from "./contract.ts";

/** What XMPP allows in the fields that users fill: quotes, emoji, right-to-left, combining marks. */
export const AWKWARD = [
  `Robert'); DROP TABLE rosters;--`,
  `"quoted" 'single' \`back\` \\ % _ $$`,
  "Юлия Капулетти 👩🏽‍🚀🏳️‍🌈",
  "שלום עולם",
  "é ﷽ \u{10ffff}\u{1f4a9}",
  " spaces  and\ttabs\nlines ",
];

export const LARGE_BYTES = 60 * 1024;

export interface OpenedPair {
  /** Two instances over the same data, as two nodes have them. */
  readonly here: Stores;
  readonly there: Stores;
}

/** Credentials that differ from any others by their salt. */
export function someCredentials(label: string = randomUUID()): Required<Credentials> {
  const keys = (bytes: number) => ({
    salt: Buffer.from(`salt ${label}`),
    iterations: 10_000,
    storedKey: Buffer.alloc(bytes, label),
    serverKey: Buffer.alloc(bytes, `server ${label}`),
  });
  return { "SCRAM-SHA-1": keys(20), "SCRAM-SHA-256": keys(32), "SCRAM-SHA-512": keys(64) };
}

/** A user that no other test has. */
export const someUser = (local = "user", domain = "shakespeare.example"): string =>
  `${local}-${randomUUID()}@${domain}`;

/** A message whose id sorts by `index`. */
export const someMessage = (index: number, text = `message ${index}`): OfflineMessage => ({
  id: `id-${String(index).padStart(6, "0")}`,
  receivedMs: Date.UTC(2026, 0, 1) + index,
  bytes: Buffer.from(`<message xmlns='jabber:client'><body>${text}</body></message>`),
});

/** An item of a pubsub node. */
export const someItem = (id: string, payload = `<item>${id}</item>`) => ({
  id,
  publisher: "romeo@example.org",
  payload: Buffer.from(payload),
});

export const nowUs = (): number => Date.now() * 1_000;

/** A token that is valid for an hour. */
export function someToken(client: string, fields: Partial<StoredToken> = {}): StoredToken {
  const issuedMs = Date.now();
  return {
    client,
    slot: "new",
    mechanism: "HT-SHA-256-NONE",
    issuedMs,
    expiresMs: issuedMs + 3_600_000,
    count: 0,
    sealed: Buffer.from(`sealed ${client} \0\xff`),
    ...fields,
  };
}

/** What an iterable gives, read to its end. */
export async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const read: T[] = [];
  for await (const value of values) read.push(value);
  return read;
}

/** What `work` rejects with; undefined when it does not. */
export async function refusal(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  return undefined;
}
