/** Opening what may not be there yet: a node often starts before its dependencies answer. */

import type { Clock } from "./clock.ts";
import { pause } from "./clock.ts";
import { Unavailable } from "./errors.ts";
import type { Logger } from "./log.ts";

export interface Patience {
  readonly clock: Clock;
  readonly log: Logger;
  /** For how long to try. */
  readonly forMs: number;
}

const FIRST_PAUSE_MS = 500;
const PAUSE_MAX_MS = 5_000;

/**
 * The value of `open`, tried again with growing pauses while it fails with Unavailable.
 * @throws whatever else it fails with at once, and the last Unavailable when the time is over
 */
export async function persist<T>(
  what: string,
  open: () => Promise<T>,
  { clock, log, forMs }: Patience,
): Promise<T> {
  const untilMs = clock.monotonicMs() + forMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(PAUSE_MAX_MS, pauseMs * 2)) {
    try {
      return await open();
    } catch (error) {
      if (!(error instanceof Unavailable) || clock.monotonicMs() + pauseMs > untilMs) throw error;
      log.warn({ what, code: error.code, reason: error.message }, "not available yet");
    }
    await pause(clock, pauseMs);
  }
}
