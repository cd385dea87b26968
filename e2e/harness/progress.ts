/** One line a step on stderr, so that nobody wonders during a long build. */

const EVERY_MS = 30_000;

/**
 * Says that a step began, and with `how` from time to time how far it is.
 * @returns a function that says it is over, and how long it took
 */
export function progress(step: string, how?: () => string): () => void {
  const startedAt = performance.now();
  process.stderr.write(`${step} ...\n`);
  const say = () => process.stderr.write(`${step}: ${how?.()}\n`);
  const timer = how === undefined ? undefined : setInterval(say, EVERY_MS);
  return () => {
    clearInterval(timer);
    const seconds = (performance.now() - startedAt) / 1000;
    process.stderr.write(`${step}: done in ${seconds.toFixed(seconds < 10 ? 1 : 0)} s\n`);
  };
}
