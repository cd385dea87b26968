/** Names of stored messages: they sort by arrival, and say which message it is. */
import type { Origin } from "../stanza/origin.ts";

const TIME_DIGITS = 9;
const COUNT_DIGITS = 8;

/**
 * Sorts by arrival, and by the sender's order within one millisecond. The same message has the same
 * name however often and by whomever it is stored.
 */
export const idOf = (receivedMs: number, { session, count }: Origin): string => {
  const time = receivedMs.toString(36).padStart(TIME_DIGITS, "0");
  return `${time}-${session}-${count.toString(36).padStart(COUNT_DIGITS, "0")}`;
};

/** What `idOf` was given; undefined for a name it did not make. */
export function originOf(id: string): Origin | undefined {
  const end = id.lastIndexOf("-");
  const session = id.slice(TIME_DIGITS + 1, end);
  const count = Number.parseInt(id.slice(end + 1), 36);
  return session === "" || !Number.isSafeInteger(count) ? undefined : { session, count };
}
