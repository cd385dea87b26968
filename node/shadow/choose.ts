/** Rendezvous hashing: sessions spread over nodes, and move only when their own node goes. */
import { crc32 } from "node:zlib";

export interface Candidate {
  readonly incarnation: string;
  readonly zone: string;
}

/** The node of highest weight for that id, one of another zone if there is any. */
export function chooseShadow(
  id: string,
  zone: string,
  candidates: Iterable<Candidate>,
): string | undefined {
  let best: Candidate | undefined;
  let bestWeight = -1;
  const seed = crc32(id);
  for (const candidate of candidates) {
    const isElsewhere = candidate.zone !== zone;
    const isBestElsewhere = best !== undefined && best.zone !== zone;
    if (isBestElsewhere && !isElsewhere) continue;
    const weight = weightOf(seed, candidate.incarnation);
    if (weight <= bestWeight && isElsewhere === isBestElsewhere) continue;
    best = candidate;
    bestWeight = weight;
  }
  return best?.incarnation;
}

/**
 * The nodes that may be the shadow, whichever zone its session is in, one more for each in case that
 * somebody joined meanwhile.
 */
export function shadowsOf(id: string, candidates: readonly Candidate[]): readonly string[] {
  const found = new Set<string>();
  for (const zone of new Set(candidates.map((one) => one.zone))) {
    const first = chooseShadow(id, zone, candidates);
    const others = candidates.filter(({ incarnation }) => incarnation !== first);
    for (const one of [first, chooseShadow(id, zone, others)]) {
      if (one !== undefined) found.add(one);
    }
  }
  return [...found];
}

/** A checksum is linear: the same bits of two nodes would differ for all ids. This mixes them. */
function weightOf(seed: number, incarnation: string): number {
  let mixed = crc32(incarnation, seed);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
