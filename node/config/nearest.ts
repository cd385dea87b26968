/** The known name that a mistyped one most likely meant. */

/** Levenshtein distance, on names of bounded length. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current[j] = Math.min((previous[j] as number) + 1, (current[j - 1] as number) + 1, replaced);
    }
    previous = current;
  }
  return previous[b.length] as number;
}

/** Undefined when nothing is near enough to be helpful. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const wanted = name.slice(0, 100).toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.ceil(wanted.length / 2));
  for (const candidate of known) {
    const candidateDistance = distance(wanted, candidate.toLowerCase());
    if (candidateDistance > bestDistance) continue;
    if (candidateDistance === bestDistance && best !== undefined) continue;
    best = candidate;
    bestDistance = candidateDistance;
  }
  return best;
}
