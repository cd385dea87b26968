/** XEP-0313, section 4 and 5: what an archive answers, page by page. */
import { withDeadline } from "../../base/deadline.ts";
import { formatDateTime } from "../../stanza/delay.ts";
import { StanzaError } from "../../stanza/error.ts";
import { forwarding } from "../../stanza/forward.ts";
import type { Jid } from "../../stanza/jid.ts";
import { RSM_NS } from "../../stanza/rsm.ts";
import { END_ID, FIRST_ID, idAfter, idFrom, timeOf } from "../../stores/archive-id.ts";
import type { Archive, ArchivedMessage, ArchiveRange } from "../../stores/contract.ts";
import type { Element } from "../../xml/element.ts";
import { el } from "../../xml/element.ts";
import type { ClientSession } from "../contract.ts";
import type { ArchiveQuery } from "./query.ts";
import { MAM_NS } from "./rules.ts";

const PAGE_DEADLINE_MS = 10_000;

export interface AnswerLimits {
  /** Messages in one page. */
  readonly resultsMax: number;
  /** How long messages are kept; 0: for ever. */
  readonly keptSeconds: number;
}

export interface ArchivePage {
  /** In the order of the archive. */
  readonly messages: readonly ArchivedMessage[];
  /** Nothing that matches lies further in the direction of the query. */
  readonly isComplete: boolean;
}

/** What is older counts as gone, whether it is removed already or not. */
const oldestId = (nowMs: number, keptSeconds: number): string =>
  keptSeconds === 0 ? FIRST_ID : idFrom(nowMs - keptSeconds * 1_000);

const latest = (ids: readonly string[]): string => ids.reduce((one, id) => (id > one ? id : one));
const earliest = (ids: readonly string[]): string => ids.reduce((one, id) => (id < one ? id : one));

/**
 * The page that a query asks for.
 * @throws StanzaError `item-not-found` for ids that are not there, `not-acceptable` for too many;
 *   Unavailable
 */
export function readPage(
  archive: Archive,
  user: string,
  query: ArchiveQuery,
  limits: AnswerLimits,
  nowMs: number,
): Promise<ArchivePage> {
  const work = page(archive, user, query, limits, nowMs);
  return withDeadline(work, PAGE_DEADLINE_MS, "store-timeout", "read the archive");
}

async function page(
  archive: Archive,
  user: string,
  query: ArchiveQuery,
  { resultsMax, keptSeconds }: AnswerLimits,
  nowMs: number,
): Promise<ArchivePage> {
  const { afterIds, beforeIds, ids, end } = query;
  const oldest = oldestId(nowMs, keptSeconds);
  const named = await namedMessages(archive, user, query, resultsMax);
  if (named.some(({ id }) => id < oldest)) throw new StanzaError("item-not-found");
  const range: ArchiveRange = {
    from: latest([oldest, query.from ?? FIRST_ID, ...afterIds.map(idAfter)]),
    before: earliest([query.before ?? END_ID, ...beforeIds]),
    ...filterOf(query.with, user),
  };
  const max = Math.min(query.max ?? resultsMax, resultsMax);
  // One more than wanted tells whether there is more.
  const found =
    ids === undefined
      ? await archive.page(user, range, max + 1, end)
      : named.filter((one) => ids.includes(one.id) && isWithin(one, range));
  if (found.length <= max) return { messages: found, isComplete: true };
  const messages = end === "first" ? found.slice(0, max) : found.slice(found.length - max);
  return { messages, isComplete: false };
}

/** The messages that the query names; every one must be there. */
async function namedMessages(
  archive: Archive,
  user: string,
  { afterIds, beforeIds, ids = [] }: ArchiveQuery,
  namesMax: number,
): Promise<readonly ArchivedMessage[]> {
  if (ids.length > namesMax) {
    throw new StanzaError("not-acceptable", `At most ${namesMax} messages may be asked for`);
  }
  const names = new Set([...afterIds, ...beforeIds, ...ids]);
  if (names.size === 0) return [];
  const named = await archive.get(user, [...names]);
  if (named.length < names.size) throw new StanzaError("item-not-found");
  return named;
}

/** 4.1.1: what a user writes to itself is found by the account, whatever the resources. */
function filterOf(peer: Jid | undefined, user: string): Pick<ArchiveRange, "peer" | "resource"> {
  if (peer === undefined) return {};
  if (peer.isBare || peer.bare === user) return { peer: peer.bare };
  return { peer: peer.bare, resource: peer.resource };
}

const isWithin = ({ id, peer, resource }: ArchivedMessage, range: ArchiveRange): boolean =>
  id >= range.from &&
  id < range.before &&
  (range.peer === undefined || range.peer === peer) &&
  (range.resource === undefined || range.resource === resource);

/**
 * Hands the results to whoever asked.
 * @throws StanzaError `resource-constraint` when the session takes no more
 */
export function sendResults(
  session: ClientSession,
  { messages }: ArchivePage,
  { queryId, isFlipped }: ArchiveQuery,
  nowMs: number,
): void {
  for (const { id, bytes } of isFlipped ? messages.toReversed() : messages) {
    const result = forwarding(bytes, {
      from: session.jid.toBare(),
      to: session.jid,
      type: "normal",
      receivedMs: nowMs,
      name: "result",
      ns: MAM_NS,
      attributes: { queryid: queryId, id },
      delayedMs: timeOf(id) ?? nowMs,
    });
    if (!session.send(result.bytes)) throw new StanzaError("resource-constraint");
  }
}

/** @param isStable what was read will be read again */
export function finElement({ messages, isComplete }: ArchivePage, isStable: boolean): Element {
  const [first, last] = [messages[0], messages.at(-1)];
  return el(
    "fin",
    {
      xmlns: MAM_NS,
      complete: isComplete ? "true" : undefined,
      stable: isStable ? undefined : "false",
    },
    el(
      "set",
      { xmlns: RSM_NS },
      first === undefined ? undefined : el("first", {}, first.id),
      last === undefined ? undefined : el("last", {}, last.id),
    ),
  );
}

/** Section 5: the first and the last message; nothing of an empty archive. */
export async function metadataOf(
  archive: Archive,
  user: string,
  { keptSeconds }: AnswerLimits,
  nowMs: number,
): Promise<Element> {
  const range = { from: oldestId(nowMs, keptSeconds), before: END_ID };
  const ends = Promise.all([
    archive.page(user, range, 1, "first"),
    archive.page(user, range, 1, "last"),
  ]);
  const [[first], [last]] = await withDeadline(
    ends,
    PAGE_DEADLINE_MS,
    "store-timeout",
    "read the archive",
  );
  const told = (name: string, message: ArchivedMessage | undefined) =>
    message === undefined
      ? undefined
      : el(name, { id: message.id, timestamp: formatDateTime(timeOf(message.id) ?? nowMs) });
  return el("metadata", { xmlns: MAM_NS }, told("start", first), told("end", last));
}
