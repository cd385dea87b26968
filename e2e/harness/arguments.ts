/** What is given on a command line, checked. */

/** The words of a comma-separated list, each one of `allowed`. */
export function wordsOf<T extends string>(
  option: string,
  text: string,
  allowed: readonly T[],
): readonly T[] {
  return text.split(",").map((word) => {
    const found = allowed.find((name) => name === word);
    if (found === undefined) {
      throw new Error(`Cannot use --${option} ${word}: give some of ${allowed.join(",")}`);
    }
    return found;
  });
}

export function numberOf(
  option: string,
  text: string | undefined,
  fallback: number,
  max: number,
): number {
  const value = text === undefined ? fallback : Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new Error(`Cannot use --${option} ${text}: give a number from 1 to ${max}`);
}
