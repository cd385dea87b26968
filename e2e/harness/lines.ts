/** Output of a process, line by line. */

import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

/** Calls `onLine` with each line of the stream; also keeps a stream flowing that nobody reads. */
export function eachLine(stream: Readable | null, onLine: (line: string) => void): void {
  if (stream === null) return;
  createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on("line", onLine);
}
