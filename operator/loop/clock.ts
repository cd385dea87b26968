/** Time and chance of the operator, handed in so that tests own both. */

/** A timer that can be called off. */
export interface Timer {
  /** Calling it off twice, or after it fired, is harmless. */
  cancel(): void;
}

export interface Clock {
  /** Wall-clock time, milliseconds since 1970. Only for values that others read. */
  nowMs(): number;
  /** Time that never jumps, milliseconds since an arbitrary start. For every duration. */
  monotonicMs(): number;
  /** Calls back once after the delay. The timer does not keep the process alive. */
  after(delayMs: number, callback: () => void): Timer;
}

/** A number in [0, 1). */
export type Random = () => number;

/** Longest delay setTimeout takes; a longer one would fire at once. */
const DELAY_MAX_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(Math.max(0, delayMs), DELAY_MAX_MS));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

export const systemRandom: Random = () => Math.random();

/** Waits, and throws the signal's reason at once when it fires. */
export function delay(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** Waits for what others wait for too: the signal ends only this wait, with its reason. */
export async function unlessAborted<T>(shared: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return await shared;
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([shared, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** A signal that fires when the given one does, or with `reason` after so long. Call `end` when the
 * work is over, so that neither the timer nor the listener stays behind. */
export function deadline(
  clock: Clock,
  delayMs: number,
  reason: Error,
  signal?: AbortSignal,
): { readonly signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  const onAbort = () => controller.abort(signal?.reason);
  const timer = clock.after(delayMs, () => controller.abort(reason));
  if (signal?.aborted) onAbort();
  signal?.addEventListener("abort", onAbort, { once: true });
  return {
    signal: controller.signal,
    end() {
      timer.cancel();
      signal?.removeEventListener("abort", onAbort);
    },
  };
}
