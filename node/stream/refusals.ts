/** How HTTP says what a stream error would have said. */
import type { StreamCondition } from "./contract.ts";

/** Code and reason for a client that is turned away at the gate. */
export const httpStatusOf = (condition: StreamCondition): string =>
  condition === "policy-violation" ? "429 Too Many Requests" : "503 Service Unavailable";
