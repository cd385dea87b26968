/** Tells when a text file has changed and has been left alone since. */
import { readFile } from "node:fs/promises";
import type { Clock } from "./base/clock.ts";

/** Twice this passes between a change and its taking over. */
const POLL_MS = 2_000;

export interface WatchedFile {
  readonly file: string;
  readonly clock: Clock;
  onChange(): void;
  /** What reads it; tests hand in another. */
  readonly read?: (file: string) => Promise<string>;
}

/**
 * Reads it again and again: that works for editors that replace files, and for the links that
 * Kubernetes puts in their place. Half-written text is waited out: an empty file would be read as
 * a configuration, too.
 */
export function watchFile({ file, clock, onChange, read = readText }: WatchedFile): Disposable {
  let known: string | undefined;
  let seen: string | undefined;
  let isStopped = false;
  const look = async (): Promise<void> => {
    const text = await read(file).catch(() => undefined);
    if (isStopped) return;
    if (text !== undefined) {
      known ??= text;
      if (text !== known && text === seen) {
        known = text;
        onChange();
      }
      seen = text;
    }
    clock.after(POLL_MS, () => void look());
  };
  void look();
  return {
    [Symbol.dispose]() {
      isStopped = true;
    },
  };
}

const readText = (file: string): Promise<string> => readFile(file, "utf8");
