/**
 * What reached a session just now: its archive may still be writing it, on another node, when the
 * client asks. It is told the names, so that an answer holds what its reader has seen already.
 */
import { timeOf } from "../../stores/archive-id.ts";
import type { ClientSession, Envelope } from "../contract.ts";

const STATE = "archive-recent";
const RECENT_MAX = 50;
/** The name that the entry node put in stands at the end, in a copy as well. */
const TAIL_BYTES = 512;

type Recent = Map<string, number>;

const known = (session: ClientSession): Recent | undefined =>
  session.state.get(STATE) as Recent | undefined;

/** Names in the account's own name are nobody else's, see Keeper. */
function nameIn({ bytes }: Envelope, account: string): string | undefined {
  const tail = bytes.subarray(Math.max(0, bytes.length - TAIL_BYTES)).toString("utf8");
  const before = ` by='${account}' id='`;
  const start = tail.lastIndexOf(before);
  if (start === -1) return undefined;
  const id = tail.slice(start + before.length, tail.indexOf("'", start + before.length));
  return timeOf(id) === undefined ? undefined : id;
}

/** @param untilMs when it is archived, or late */
export function noteGiven(session: ClientSession, envelope: Envelope, untilMs: number): void {
  const id = nameIn(envelope, session.jid.bare);
  if (id === undefined) return;
  const recent = known(session) ?? new Map<string, number>();
  session.state.set(STATE, recent.set(id, untilMs));
  for (const oldest of recent.keys()) {
    if (recent.size <= RECENT_MAX) break;
    recent.delete(oldest);
  }
}

/** Those that may not be archived yet. */
export function recentOf(session: ClientSession, nowMs: number): readonly string[] {
  const recent = known(session);
  if (recent === undefined) return [];
  return [...recent].filter(([, untilMs]) => untilMs > nowMs).map(([id]) => id);
}

export function forget(session: ClientSession, ids: readonly string[]): void {
  for (const id of ids) known(session)?.delete(id);
}
