/** A file of SQLite's, and what it says when it cannot be used. */
import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs";
import path from "node:path";

// SQLite's primary result codes that say more than "it did not work".
export const BUSY = 5;
export const LOCKED = 6;
export const CORRUPT = 11;
export const NOT_A_DATABASE = 26;

/**
 * Makes the file if it is not there, for its owner only: it holds credentials. SQLite gives its side files the
 * same mode.
 * @returns its path
 */
export function makePrivate(directory: string, name: string): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = path.join(directory, name);
  closeSync(openSync(file, "a", 0o600));
  chmodSync(file, 0o600);
  return file;
}

/** SQLite's primary result code; undefined when the error is not from SQLite. */
export function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error)) return undefined;
  return typeof error.errcode === "number" ? error.errcode & 0xff : undefined;
}
