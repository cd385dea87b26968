/**
 * What a node sends to the shadows of its sessions: each whole once, as `session-wire.ts` writes it,
 * then what changed. The shadow keeps stanzas as they came; they are read when it needs them.
 */
import type { Route } from "../routes/contract.ts";
import type { MirrorItem, MirrorKind, Verdict } from "../shadow/mirror.ts";
import { readRoute, writeRoute } from "./frames.ts";
import { BadFrame, OctetReader, OctetWriter } from "./octets.ts";
import type { Origin } from "./origin.ts";
import type { Packed, PackedSession } from "./session-wire.ts";
import {
  RECENT_MAX,
  readCarried,
  readStanzas,
  unpackSession,
  writeCarried,
  writeStanzas,
} from "./session-wire.ts";

const KINDS: readonly MirrorKind[] = ["whole", "change", "drop"];
const VERDICTS: readonly Verdict[] = ["stored", "unknown", "kept"];
const HAS_ROUTE = 1;
const INHERITED = 2;
const OVER = 4;
/** The mirror batches by bytes; an item has 20 at least. */
export const ITEMS_MAX = 20_000;

/** Frame "mirror": items for the copies of the sender's sessions. */
export interface MirrorFrame {
  /** 0: there are no items, and the sender has forgotten all copies that it had. */
  readonly term: number;
  readonly items: readonly MirrorItem[];
}

export const FORGOTTEN: MirrorFrame = { term: 0, items: [] };

export function encodeMirror({ term, items }: MirrorFrame): Buffer {
  const bytes = items.reduce((sum, { payload }) => sum + payload.length + 64, 32);
  const writer = new OctetWriter(bytes).extension().u48(term).u16(items.length);
  for (const { kind, id, sequence, payload } of items) {
    writer.u8(KINDS.indexOf(kind)).text(id).u48(sequence).block(payload);
  }
  return writer.done();
}

/** @throws BadFrame */
export function decodeMirror(frame: Buffer): MirrorFrame {
  const reader = new OctetReader(frame);
  reader.skipExtension();
  const term = reader.u48();
  const items: MirrorItem[] = [];
  for (let left = reader.count(ITEMS_MAX, 15); left > 0; left -= 1) {
    const kind = KINDS[reader.u8()];
    if (kind === undefined) throw new BadFrame("the kind of an item is not known");
    items.push({ kind, id: reader.text(), sequence: reader.u48(), payload: reader.block() });
  }
  return { term, items };
}

export function encodeVerdicts(verdicts: readonly Verdict[]): Buffer {
  const writer = new OctetWriter(4 + verdicts.length).extension().u16(verdicts.length);
  for (const verdict of verdicts) writer.u8(VERDICTS.indexOf(verdict));
  return writer.done();
}

/** @throws BadFrame */
export function decodeVerdicts(payload: Buffer): readonly Verdict[] {
  const reader = new OctetReader(payload);
  reader.skipExtension();
  const verdicts: Verdict[] = [];
  for (let left = reader.count(ITEMS_MAX, 1); left > 0; left -= 1) {
    verdicts.push(VERDICTS[reader.u8()] ?? "unknown");
  }
  return verdicts;
}

/** What came since the last word about a session. */
export interface Change {
  readonly received: number;
  readonly acknowledged: number;
  /** See SessionState. */
  readonly inherited: number | undefined;
  /** So many of the stanzas that waited have been acknowledged. */
  readonly gone: number;
  readonly sent: readonly Packed[];
  /** The same for those that wait behind stored ones. */
  readonly released: number;
  readonly held: readonly Packed[];
  /** As it is now; undefined: as it was. */
  readonly route: Route | undefined;
  /** What is new of what modules keep; empty bytes for what is gone. */
  readonly carried: ReadonlyMap<string, Buffer>;
  /** It has ended: whoever goes on with it ends it, too. */
  readonly isOver: boolean;
}

export function encodeChange(change: Change): Buffer {
  const { route, inherited, received, acknowledged, gone, released } = change;
  const writer = new OctetWriter(512).extension();
  writer.u48(received).u48(acknowledged).u48(gone).u48(released);
  writeStanzas(writer, change.sent);
  writeStanzas(writer, change.held);
  writeCarried(writer, change.carried);
  writer.u8(
    (route === undefined ? 0 : HAS_ROUTE) |
      (inherited === undefined ? 0 : INHERITED) |
      (change.isOver ? OVER : 0),
  );
  writer.u48(inherited ?? 0);
  if (route !== undefined) writeRoute(writer.text(route.user), route);
  return writer.done();
}

/** @throws BadFrame */
function decodeChange(payload: Buffer): Change {
  const reader = new OctetReader(payload);
  reader.skipExtension();
  const [received, acknowledged] = [reader.u48(), reader.u48()];
  const [gone, released] = [reader.u48(), reader.u48()];
  const [sent, held] = [readStanzas(reader), readStanzas(reader)];
  const carried = readCarried(reader);
  const flags = reader.u8();
  const count = reader.u48();
  const inherited = (flags & INHERITED) === 0 ? undefined : count;
  const route = (flags & HAS_ROUTE) === 0 ? undefined : readRoute(reader, reader.text());
  const isOver = (flags & OVER) !== 0;
  return { received, acknowledged, inherited, gone, sent, released, held, route, carried, isOver };
}

/** A session of another node, as its shadow has it. */
export interface Copy {
  state: PackedSession["state"];
  waiting: readonly Packed[];
  held: readonly Packed[];
  readonly carried: Map<string, Buffer>;
  readonly recent: Origin[];
}

/** @throws BadFrame */
export function copyOf(whole: Buffer): Copy {
  const { carried, recent, ...packed } = unpackSession(whole);
  return { ...packed, carried: new Map(carried), recent: [...recent] };
}

/** @throws BadFrame when it does not fit the copy */
export function changeCopy(copy: Copy, payload: Buffer): Copy {
  const change = decodeChange(payload);
  const { gone, released, received, acknowledged, inherited } = change;
  const { route = copy.state.route } = change;
  if (gone > copy.waiting.length || released > copy.held.length) {
    throw new BadFrame("it takes away more than there is");
  }
  const acknowledgedNow = copy.waiting.slice(0, gone).flatMap(({ origin }) => origin ?? []);
  const windowMs = change.isOver ? 0 : copy.state.windowMs;
  copy.state = { ...copy.state, windowMs, received, acknowledged, inherited, route };
  copy.waiting = joined(copy.waiting, gone, change.sent);
  copy.held = joined(copy.held, released, change.held);
  for (const origin of acknowledgedNow) copy.recent.push(origin);
  // Cut off half at once, so that most additions move nothing.
  if (copy.recent.length > RECENT_MAX) copy.recent.splice(0, copy.recent.length - RECENT_MAX / 2);
  for (const [key, bytes] of change.carried) {
    if (bytes.length === 0) copy.carried.delete(key);
    else copy.carried.set(key, bytes);
  }
  return copy;
}

const joined = <T>(before: readonly T[], gone: number, added: readonly T[]): readonly T[] =>
  gone === 0 && added.length === 0 ? before : [...before.slice(gone), ...added];
