/** No call leaves the process without a deadline (design invariant 8). */
import type { Clock, Timer } from "./clock.ts";
import { systemClock } from "./clock.ts";
import { Unavailable } from "./errors.ts";

/**
 * The value of `work`, or Unavailable with `code` when it has not settled after `ms`.
 * @param what what could not be done, for the message: "Cannot <what>: no answer in 2000 ms"
 */
export async function withDeadline<T>(
  work: Promise<T>,
  ms: number,
  code: string,
  what: string,
  clock: Clock = systemClock,
): Promise<T> {
  let timer: Timer | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = clock.after(ms, () => {
      reject(new Unavailable(code, `Cannot ${what}: no answer in ${ms} ms`));
    });
  });
  try {
    return await Promise.race([work, expired]);
  } finally {
    timer?.cancel();
  }
}

/** Resolves when `work` settles, however, or after `ms`. */
export async function settledWithin(
  clock: Clock,
  ms: number,
  work: Promise<unknown>,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = clock.after(ms, resolve);
  work.then(
    () => resolve(),
    () => resolve(),
  );
  await promise;
  timer.cancel();
}
