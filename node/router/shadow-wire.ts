/**
 * What a node sends to the shadows of its sessions: each whole once, as `session-wire.ts` writes it,
 * then what changed. The shadow keeps stanzas as they came; they are read when it needs them.
 */
import { ownBytes } from "../base/own-bytes.ts";
import type { Route } from "../routes/contract.ts";
import type { MirrorItem, MirrorKind, Verdict } from "../shadow/mirror.ts";
import type { Origin } from "../stanza/origin.ts";
import { CHANGES, joinChanges } from "./carried.ts";
import { readRoute, writeRoute } from "./frames.ts";
import { BadFrame, OctetReader, OctetWriter } from "./octets.ts";
import type { Packed, PackedSession } from "./session-wire.ts";
import {
  RECENT_MAX,
  readCarried,
  readStanzas,
  takeOut,
  unpackSession,
  writeCarried,
  writeStanzas,
} from "./session-wire.ts";

const KINDS: readonly MirrorKind[] = ["whole", "change", "drop"];
const VERDICTS: readonly Verdict[] = ["stored", "unknown", "kept"];
const HAS_ROUTE = 1;
const INHERITED = 2;
const OVER = 4;
/** Of a frame, behind its items. */
const UNAWAITED = 1;
/** The mirror batches by bytes; an item has 20 at least. */
export const ITEMS_MAX = 20_000;

/** Frame "mirror": items for the copies of the sender's sessions. */
export interface MirrorFrame {
  /** 0: there are no items, and the sender has forgotten all copies that it had. */
  readonly term: number;
  readonly items: readonly MirrorItem[];
  /** Otherwise its answer may come with a later one. */
  readonly isAwaited: boolean;
}

export const FORGOTTEN: MirrorFrame = { term: 0, items: [], isAwaited: true };

export function encodeMirror({ term, items, isAwaited }: MirrorFrame): Buffer {
  const bytes = items.reduce((sum, { payload }) => sum + payload.length + 64, 32);
  const writer = new OctetWriter(bytes).extension().u48(term).u16(items.length);
  for (const { kind, id, sequence, payload } of items) {
    writer.u8(KINDS.indexOf(kind)).text(id).u48(sequence).block(payload);
  }
  return writer.u8(isAwaited ? 0 : UNAWAITED).done();
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
  const [flags = 0] = reader.rest(); // Earlier releases wait for every answer, and have no flags.
  return { term, items, isAwaited: (flags & UNAWAITED) === 0 };
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
  /** What is new of what modules keep; empty bytes for what is gone; below CHANGES what is added to it. */
  readonly carried: ReadonlyMap<string, Buffer>;
  /** It has ended: whoever goes on with it ends it, too. */
  readonly isOver: boolean;
}

export function encodeChange(change: Change): Buffer {
  const { route, inherited, received, acknowledged, gone, released } = change;
  let bytes = 256;
  for (const stanza of [...change.sent, ...change.held]) bytes += stanza.bytes.length + 64;
  const writer = new OctetWriter(bytes).extension();
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

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** A session of another node, as its shadow has it. */
export interface Copy {
  readonly state: Mutable<PackedSession["state"]>;
  readonly waiting: Packed[];
  readonly held: Packed[];
  readonly carried: Map<string, Buffer>;
  readonly recent: Origin[];
}

/** @throws BadFrame */
export function copyOf(whole: Buffer): Copy {
  const { state, waiting, carried, recent, ...packed } = unpackSession(ownBytes(whole));
  const held = [...packed.held];
  takeOut(held, waiting);
  return {
    ...{ state, waiting: [...waiting], held },
    ...{ carried: new Map(carried), recent: [...recent] },
  };
}

/** @throws BadFrame when it does not fit the copy */
export function changeCopy(copy: Copy, payload: Buffer): Copy {
  const change = decodeChange(payload);
  const { gone, released, route } = change;
  const { state, waiting, held } = copy;
  if (gone > waiting.length || released > held.length) {
    throw new BadFrame("it takes away more than there is");
  }
  state.received = change.received;
  state.acknowledged = change.acknowledged;
  state.inherited = change.inherited;
  if (change.isOver) state.windowMs = 0;
  if (route !== undefined) state.route = route;
  for (const { origin } of waiting.splice(0, gone)) {
    if (origin !== undefined) copy.recent.push(origin);
  }
  held.splice(0, released);
  for (const stanza of change.sent) waiting.push(stanza);
  for (const stanza of change.held) held.push(stanza);
  takeOut(held, change.sent);
  // Cut off half at once, so that most additions move nothing.
  if (copy.recent.length > RECENT_MAX) copy.recent.splice(0, copy.recent.length - RECENT_MAX / 2);
  for (const [key, bytes] of change.carried) {
    const known = key === CHANGES ? copy.carried.get(key) : undefined;
    if (bytes.length === 0) copy.carried.delete(key);
    else copy.carried.set(key, ownBytes(known === undefined ? bytes : joinChanges([known, bytes])));
  }
  return copy;
}
