/**
 * Copies of short strings that many stanzas share. A slice of a long string keeps all of it in
 * memory; what outlives its stanza must be a copy.
 */

const TABLE_MAX = 4_096;
/** Slices shorter than this are copies already: V8 makes no slices of 12 characters or less. */
const SLICE_LENGTH_MIN = 13;
const table = new Map<string, string>();

/** Where short strings are copied by way of, which costs half of a buffer of their own. */
const scratch = Buffer.allocUnsafeSlow(1_024);
/** A character of UTF-16 is at most three bytes of UTF-8. */
const SCRATCH_LENGTH_MAX = Math.floor(scratch.length / 3);

/** An equal string that holds no other string in memory. */
export function detach(text: string): string {
  if (text.length < SLICE_LENGTH_MIN) return text;
  if (text.length > SCRATCH_LENGTH_MAX) return Buffer.from(text, "utf8").toString("utf8");
  return scratch.toString("utf8", 0, scratch.write(text, 0, "utf8"));
}

/** The same, kept for the next asker: for names and namespaces. The table is bounded. */
export function intern(text: string): string {
  if (text.length < SLICE_LENGTH_MIN) return text;
  const slot = slotOf(text, 0, text.length);
  const last = lately[slot];
  if (last === text) return last;
  const known = table.get(text) ?? remembered(text);
  lately[slot] = known;
  return known;
}

function remembered(text: string): string {
  if (table.size >= TABLE_MAX) table.clear();
  const copy = detach(text);
  table.set(copy, copy);
  return copy;
}

/** Local name and namespace of an element. */
export interface ElementKind {
  readonly name: string;
  readonly ns: string;
}

/** The same for both names of an element, as one object. */
export function kindOf(name: string, ns: string): ElementKind {
  const slot = (slotOf(name, 0, name.length) + ns.length) % COMMON_SLOTS;
  const last = kinds[slot];
  if (last !== undefined && last.name === name && last.ns === ns) return last;
  const kind = { name: intern(name), ns: intern(ns) };
  kinds[slot] = kind;
  return kind;
}

/** A number that tells nearly all names apart. */
const COMMON_SLOTS = 256;
/** What was asked for last, by that number: comparing costs less than looking up a new string. */
const lately: (string | undefined)[] = new Array(COMMON_SLOTS).fill(undefined);
const kinds: (ElementKind | undefined)[] = new Array(COMMON_SLOTS).fill(undefined);
/** Names that most tags and attributes have, by the same. */
const common: (string | undefined)[] = new Array(COMMON_SLOTS).fill(undefined);
const slotOf = (text: string, from: number, to: number): number =>
  ((to - from) * 37 + text.charCodeAt(from) * 5 + text.charCodeAt(to - 1)) % COMMON_SLOTS;
for (const name of [
  ...["message", "presence", "iq", "to", "from", "id", "type", "xmlns", "xml:lang", "body"],
  ...["query", "item", "jid", "name", "subscription", "group", "ver", "node", "hash", "c"],
  ...["show", "status", "priority", "thread", "active", "composing", "paused", "received"],
  ...["request", "markable", "displayed", "origin-id", "store", "no-store", "error", "x", "ping"],
  ...["bind", "resource", "session", "auth", "response", "mechanism", "h", "a", "r", "enable"],
]) {
  common[slotOf(name, 0, name.length)] ??= name;
}

/**
 * `text.slice(from, to)`, and for common names always the same string: a new one must be looked up
 * among all names of the program whenever it becomes a key, which costs ten times the reading.
 */
export function nameAt(text: string, from: number, to: number): string {
  const known = common[slotOf(text, from, to)];
  const isIt = known !== undefined && known.length === to - from && text.startsWith(known, from);
  return isIt ? known : text.slice(from, to);
}
