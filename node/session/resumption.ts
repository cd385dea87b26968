/** XEP-0198, section 5: which sessions can be resumed, for how long, and after what. */
import type { StreamEnd } from "../stream/contract.ts";

/** Errors of ours that say nothing against the client, only against this connection. */
const RESUMABLE_AFTER: ReadonlySet<string | undefined> = new Set([
  "connection-timeout",
  "system-shutdown",
]);

/** Whether the session goes on when its stream has ended so. */
export function mayResumeAfter(end: StreamEnd): boolean {
  switch (end.kind) {
    case "lost":
      return true;
    case "closed": // Section 7: a client that ends its stream ends its session.
      return false;
    case "ended":
      return RESUMABLE_AFTER.has(end.condition);
    default:
      return end satisfies never;
  }
}

/**
 * The seconds that an `<enable/>` gets: what it asks for, as far as we allow it. 0: no resumption;
 * undefined: it is not valid.
 */
export function grantedSeconds(
  { resume, max }: Readonly<Record<string, unknown>>,
  resumeSeconds: number,
): number | undefined {
  if (max !== undefined && !/^\d{1,10}$/.test(String(max))) return undefined;
  if (resume === undefined || resume === "false" || resume === "0") return 0;
  if (resume !== "true" && resume !== "1") return undefined;
  // The schema says a positive number; 0 can only mean that none is wished.
  return Math.min(resumeSeconds, max === undefined ? resumeSeconds : Number(max));
}
