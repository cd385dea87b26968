/** One line a step on stderr, so that nobody wonders during a long build. */

/** Says that a step began. @returns a function that says it is over, and how long it took */
export function progress(step: string): () => void {
  const startedAt = performance.now();
  process.stderr.write(`${step} ...\n`);
  return () => {
    const seconds = (performance.now() - startedAt) / 1000;
    process.stderr.write(`${step}: done in ${seconds.toFixed(seconds < 10 ? 1 : 0)} s\n`);
  };
}
