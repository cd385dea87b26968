/**
 * How to remove messages from a partition that is used like a queue. A row deleted by itself leaves
 * a marker which every later read of the partition steps over for days; a range leaves one for all
 * of it. But a range also hides a message that arrives inside it with an older time of writing, so
 * a range is used only where nothing can arrive any more.
 */

/** A stored message; `writtenUs` is when it was written, in microseconds since the epoch. */
export interface StoredMark {
  readonly id: string;
  readonly writtenUs: number;
}

export interface Range {
  readonly fromId: string;
  readonly toId: string;
  /** The deletion's time: hides what the range was made of, and nothing written later. */
  readonly stampUs: number;
}

export interface Removal {
  readonly ranges: readonly Range[];
  /** To be deleted one by one. */
  readonly ids: readonly string[];
}

/** Shorter runs are not worth a range. */
export const RUN_MIN = 8;

/**
 * A message unseen by a quorum, though written before this age, would have been under way for
 * longer than any call may take, with time left for clocks that differ.
 */
const SETTLED_AFTER_US = 60_000_000;

/**
 * Splits what is wanted away into ranges and single ids.
 * @param stored what the partition holds between the first and last wanted id, in order
 */
export function planRemoval(
  wanted: ReadonlySet<string>,
  stored: readonly StoredMark[],
  nowMs: number,
): Removal {
  const settledUs = nowMs * 1_000 - SETTLED_AFTER_US;
  const ranges: Range[] = [];
  const ids: string[] = [];
  let run: StoredMark[] = [];
  const endRun = () => {
    const [first, last] = [run[0], run.at(-1)];
    if (run.length >= RUN_MIN && first !== undefined && last !== undefined) {
      const stampUs = run.reduce((latest, { writtenUs }) => Math.max(latest, writtenUs), 0);
      ranges.push({ fromId: first.id, toId: last.id, stampUs });
    } else {
      ids.push(...run.map(({ id }) => id));
    }
    run = [];
  };
  for (const mark of stored) {
    const isWanted = wanted.has(mark.id);
    if (isWanted && mark.writtenUs < settledUs) {
      run.push(mark);
      continue;
    }
    endRun();
    if (isWanted) ids.push(mark.id);
  }
  endRun();
  return { ranges, ids };
}
