/**
 * Names of archived messages: they sort by the time of archiving and tell it, and by the order of
 * one node within a millisecond. What follows says nothing to others (XEP-0359, section 4).
 */
import { hash } from "node:crypto";

const TIME_DIGITS = 9;
const SEQUENCE_DIGITS = 3;
const TAIL_CHARACTERS = 16;
const PATTERN = /^[0-9a-z]{12}-[\w-]{16}$/;

/** So much may clocks of nodes differ for names of the same message to be found, and for what is removed to stay so. */
export const CLOCKS_APART_MS = 600_000;

/** Below every name. */
export const FIRST_ID = "";
/** Above every name. */
export const END_ID = "~";

/** Names at or after this moment sort behind it, the others before. */
export const idFrom = (ms: number): string =>
  Math.min(Math.max(0, Math.ceil(ms)), 36 ** TIME_DIGITS - 1)
    .toString(36)
    .padStart(TIME_DIGITS, "0");

/** The next possible name. */
export const idAfter = (id: string): string => `${id}\0`;

/** @param what is the same for the same message, and known to nobody else */
export function archiveId(ms: number, sequence: number, what: string): string {
  const place = sequence.toString(36).padStart(SEQUENCE_DIGITS, "0");
  const tail = hash("sha256", what, "base64url").slice(0, TAIL_CHARACTERS);
  return `${idFrom(ms)}${place}-${tail}`;
}

/** Whether two names are for the same message, archived at different moments. */
export const isSameMessage = (one: string, other: string): boolean =>
  one.slice(-TAIL_CHARACTERS) === other.slice(-TAIL_CHARACTERS);

/** When the message was archived, in milliseconds; undefined for what is no name of ours. */
export function timeOf(id: string): number | undefined {
  return PATTERN.test(id) ? Number.parseInt(id.slice(0, TIME_DIGITS), 36) : undefined;
}

/** The same for the end of a range, which need not be a whole name; undefined for an open one. */
export function boundMs(bound: string): number | undefined {
  const time = bound.slice(0, TIME_DIGITS);
  return /^[0-9a-z]{9}$/.test(time) ? Number.parseInt(time, 36) : undefined;
}

/** Places within one millisecond. */
const SEQUENCE_MAX = 36 ** SEQUENCE_DIGITS;

/** Gives out names that only grow. */
export class ArchiveIds {
  #ms = 0;
  #sequence = 0;

  next(nowMs: number, what: string): string {
    if (nowMs > this.#ms) {
      this.#ms = nowMs;
      this.#sequence = 0;
    } else this.#sequence += 1;
    if (this.#sequence >= SEQUENCE_MAX) {
      this.#ms += 1;
      this.#sequence = 0;
    }
    return archiveId(this.#ms, this.#sequence, what);
  }
}
