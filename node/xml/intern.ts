/**
 * Copies of short strings that many stanzas share. A slice of a long string keeps all of it in
 * memory; what outlives its stanza must be a copy.
 */

const TABLE_MAX = 4_096;
/** Slices shorter than this are copies already: V8 makes no slices of 12 characters or less. */
const SLICE_LENGTH_MIN = 13;
const table = new Map<string, string>();

/** An equal string that holds no other string in memory. */
export const detach = (text: string): string =>
  text.length < SLICE_LENGTH_MIN ? text : Buffer.from(text, "utf8").toString("utf8");

/** The same, kept for the next asker: for names and namespaces. The table is bounded. */
export function intern(text: string): string {
  if (text.length < SLICE_LENGTH_MIN) return text;
  const known = table.get(text);
  if (known !== undefined) return known;
  if (table.size >= TABLE_MAX) table.clear();
  const copy = detach(text);
  table.set(copy, copy);
  return copy;
}
