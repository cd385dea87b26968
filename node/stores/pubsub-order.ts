/** What both engines agree on about the order of a pubsub node's changes. */

/** When a change counts as made: now, but always after what its writer has read. */
export const nextChangeUs = (nowMs: number, afterUs: number): number =>
  Math.max(Math.trunc(nowMs) * 1_000, afterUs + 1);

/** The order of texts as octets. */
export const byBytes = (one: string, other: string): number =>
  Buffer.compare(Buffer.from(one), Buffer.from(other));

/** The oldest first. */
export const byAge = <T extends { readonly publishedUs: number; readonly id: string }>(
  one: T,
  other: T,
): number => one.publishedUs - other.publishedUs || byBytes(one.id, other.id);
