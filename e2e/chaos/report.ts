/** What a run says at its end: a table for people, and the same as one line of JSON. */
import type { Verdict } from "./ledger.ts";

export interface Findings extends Verdict {
  readonly seed: number;
  readonly faults: readonly string[];
  readonly ghosts: readonly string[];
  /** Whether everybody came back and everything arrived before the patience ended. */
  readonly isSettled: boolean;
  readonly resumptions: number;
  /** Streams begun anew though one could have been resumed. */
  readonly rebinds: number;
  readonly longestSilenceMs: number;
}

const NAMES_MAX = 8;

export const isClean = ({ lost, repeated, outOfOrder, ghosts, isSettled }: Findings): boolean =>
  isSettled && lost.length + repeated.length + outOfOrder.length + ghosts.length === 0;

const named = (ids: readonly string[]): string => {
  const rest = ids.length > NAMES_MAX ? ` and ${ids.length - NAMES_MAX} more` : "";
  return ids.length === 0 ? "0" : `${ids.length}: ${ids.slice(0, NAMES_MAX).join(", ")}${rest}`;
};

export function table(findings: Findings): string {
  const rows: readonly (readonly [string, string])[] = [
    ["seed", String(findings.seed)],
    ["faults", `${findings.faults.length}: ${findings.faults.join(", ")}`],
    ["sent", String(findings.sent)],
    ["acknowledged", String(findings.acknowledged)],
    ["delivered", String(findings.delivered)],
    ["returned to sender", String(findings.returned)],
    ["returned, and there", named(findings.returnedAndArrived)],
    ["lost", named(findings.lost)],
    ["repeated", named(findings.repeated)],
    ["again, begun anew", named(findings.again)],
    ["out of order", named(findings.outOfOrder)],
    ["overtaken, anew", named(findings.overtaken)],
    ["missed by a device", named(findings.missed)],
    ["ghosts", named(findings.ghosts)],
    ["all settled", findings.isSettled ? "yes" : "no"],
    ["streams resumed", String(findings.resumptions)],
    ["streams begun anew", String(findings.rebinds)],
    ["longest silence", `${(findings.longestSilenceMs / 1_000).toFixed(1)} s`],
    ["slowest letter", `${(findings.slowestMs / 1_000).toFixed(1)} s`],
    ["verdict", isClean(findings) ? "clean" : "BROKEN"],
  ];
  return rows.map(([name, value]) => `${name.padEnd(20)}${value}`).join("\n");
}

export const json = (findings: Findings): string =>
  JSON.stringify({
    seed: findings.seed,
    faults: findings.faults.length,
    sent: findings.sent,
    acknowledged: findings.acknowledged,
    delivered: findings.delivered,
    returned: findings.returned,
    returnedAndArrived: findings.returnedAndArrived.length,
    lost: findings.lost.length,
    repeated: findings.repeated.length,
    again: findings.again.length,
    outOfOrder: findings.outOfOrder.length,
    overtaken: findings.overtaken.length,
    missed: findings.missed.length,
    ghosts: findings.ghosts.length,
    settled: findings.isSettled,
    resumed: findings.resumptions,
    rebound: findings.rebinds,
    longestSilenceMs: Math.round(findings.longestSilenceMs),
    slowestMs: Math.round(findings.slowestMs),
    clean: isClean(findings),
  });
