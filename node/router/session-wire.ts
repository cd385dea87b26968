/** A whole session as one record, for the node that goes on with it. */
import type { Route } from "../routes/contract.ts";
import type { SessionState } from "../session/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { Origin } from "../stanza/origin.ts";
import { isSameOrigin } from "../stanza/origin.ts";
import { decodeEnvelope, encodeEnvelope } from "../stanza/wire.ts";
import { readRoute, writeRoute } from "./frames.ts";
import type { About } from "./hand-over.ts";
import { BadFrame, OctetReader, OctetWriter } from "./octets.ts";

/** Far more than an outbox holds. */
const STANZAS_MAX = 200_000;
const STATES_MAX = 1_000;
/** Origins that a session remembers: more than can be under way to it at once. */
export const RECENT_MAX = 256;

const HAS_LANG = 1;
const MAY_REPEAT = 2;
const INHERITED = 4;

const BYTES = 0;
const ENVELOPE = 1;
const HAS_ORIGIN = 2;
const STORED = 4;
const COPY = 8;
const OWED = 16;

/** A stanza that waits for a client; bytes alone are not worth rerouting. */
export interface Waiting {
  readonly stanza: Envelope | Buffer;
  readonly about: About | undefined;
}

export interface SessionRecord {
  readonly state: Omit<SessionState, "waiting">;
  /** Sent and not acknowledged, in order. */
  readonly waiting: readonly Waiting[];
  /** Not sent yet, because stored messages come first. */
  readonly held: readonly Waiting[];
  /** Of the modules, by key. */
  readonly carried: ReadonlyMap<string, Buffer>;
  /** Of stanzas that it was given lately and may have acknowledged. */
  readonly recent: readonly Origin[];
}

export const encodeSession = ({ waiting, held, ...record }: SessionRecord): Buffer =>
  packSession({ ...record, waiting: waiting.map(encodeWaiting), held: held.map(encodeWaiting) });

export function packSession(record: PackedSession): Buffer {
  const { state, waiting, held, carried, recent } = record;
  const { lang, mayRepeat, inherited } = state;
  const flags =
    (lang === undefined ? 0 : HAS_LANG) |
    (mayRepeat ? MAY_REPEAT : 0) |
    (inherited === undefined ? 0 : INHERITED);
  const writer = new OctetWriter(4_096).extension();
  writer.text(state.route.user);
  writeRoute(writer, state.route);
  writer
    .u8(flags)
    .text(lang ?? "")
    .u48(inherited ?? 0);
  writer.u48(state.windowMs).u48(state.received).u48(state.countedFrom).u48(state.acknowledged);
  writeStanzas(writer, waiting);
  writeStanzas(writer, held);
  writeCarried(writer, carried);
  writer.u16(recent.length);
  for (const { session, count } of recent) writer.text(session).u48(count);
  return writer.done();
}

/** @throws BadFrame, EnvelopeError */
export function decodeSession(payload: Buffer): SessionRecord {
  const { waiting, held, ...packed } = unpackSession(payload);
  return { ...packed, waiting: waiting.map(decodeWaiting), held: held.map(decodeWaiting) };
}

/** The same while nobody needs its stanzas: for whoever only keeps it. */
export interface PackedSession extends Omit<SessionRecord, "waiting" | "held"> {
  readonly waiting: readonly Packed[];
  readonly held: readonly Packed[];
}

/** @throws BadFrame */
export function unpackSession(payload: Buffer): PackedSession {
  const reader = new OctetReader(payload);
  const route = readHead(reader);
  const flags = reader.u8();
  const lang = reader.text();
  const inherited = reader.u48();
  const state = {
    route,
    lang: (flags & HAS_LANG) === 0 ? undefined : lang,
    mayRepeat: (flags & MAY_REPEAT) !== 0,
    inherited: (flags & INHERITED) === 0 ? undefined : inherited,
    windowMs: reader.u48(),
    received: reader.u48(),
    countedFrom: reader.u48(),
    acknowledged: reader.u48(),
  };
  const [waiting, held] = [readStanzas(reader), readStanzas(reader)];
  const carried = readCarried(reader);
  const recent: Origin[] = [];
  for (let left = reader.count(RECENT_MAX, 8); left > 0; left -= 1) {
    recent.push({ session: reader.text(), count: reader.u48() });
  }
  return { state, waiting, held, carried, recent };
}

/** Whose session it is, without reading the rest. @throws BadFrame */
export const routeIn = (payload: Buffer): Route => readHead(new OctetReader(payload));

function readHead(reader: OctetReader): Route {
  reader.skipExtension();
  return readRoute(reader, reader.text());
}

/** One stanza that waits, as nodes exchange it. */
export interface Packed {
  readonly flags: number;
  readonly origin: Origin | undefined;
  /** The stanza, or an envelope: see `flags`. */
  readonly bytes: Buffer;
}

export function encodeWaiting({ stanza, about }: Waiting): Packed {
  if (Buffer.isBuffer(stanza)) return { flags: BYTES, origin: undefined, bytes: stanza };
  const flags = ENVELOPE | (about === undefined ? 0 : flagsOf(about));
  return { flags, origin: about?.origin, bytes: encodeEnvelope(stanza) };
}

/** In place of what does not wait any more. */
const NO_STANZA: Packed = { flags: BYTES, origin: undefined, bytes: Buffer.alloc(0) };

/** What a session is given out of the store does not wait for it any more: its place stays, places are counted. */
export function takeOut(held: Packed[], given: readonly Packed[]): void {
  if (held.length === 0) return;
  for (const { flags, origin } of given) {
    if ((flags & STORED) === 0 || origin === undefined) continue;
    const place = held.findIndex((one) => isSameOrigin(one.origin, origin));
    if (place !== -1) held[place] = NO_STANZA;
  }
}

/** @throws EnvelopeError */
export function decodeWaiting({ flags, origin, bytes }: Packed): Waiting {
  if ((flags & ENVELOPE) === 0) return { stanza: bytes, about: undefined };
  const about = { origin, isStored: (flags & STORED) !== 0, copy: copyOf(flags) };
  return { stanza: decodeEnvelope(bytes), about };
}

export function writeCarried(writer: OctetWriter, carried: ReadonlyMap<string, Buffer>): void {
  writer.u16(carried.size);
  for (const [key, bytes] of carried) writer.text(key).block(bytes);
}

/** @throws BadFrame */
export function readCarried(reader: OctetReader): ReadonlyMap<string, Buffer> {
  const carried = new Map<string, Buffer>();
  for (let left = reader.count(STATES_MAX, 8); left > 0; left -= 1) {
    carried.set(reader.text(), reader.part());
  }
  return carried;
}

export function writeStanzas(writer: OctetWriter, stanzas: readonly Packed[]): void {
  writer.u48(stanzas.length);
  for (const { flags, origin, bytes } of stanzas) {
    writer.u8(flags);
    if (origin !== undefined) writer.text(origin.session).u48(origin.count);
    writer.block(bytes);
  }
}

/** @throws BadFrame */
export function readStanzas(reader: OctetReader): readonly Packed[] {
  const count = reader.u48();
  if (count > STANZAS_MAX) throw new BadFrame(`${count} stanzas are too many`);
  const stanzas: Packed[] = [];
  for (let left = count; left > 0; left -= 1) {
    const flags = reader.u8();
    const hasOrigin = (flags & HAS_ORIGIN) !== 0;
    const origin = hasOrigin ? { session: reader.text(), count: reader.u48() } : undefined;
    stanzas.push({ flags, origin, bytes: reader.part() });
  }
  return stanzas;
}

const flagsOf = ({ origin, isStored, copy }: About): number =>
  (origin === undefined ? 0 : HAS_ORIGIN) |
  (isStored ? STORED : 0) |
  (copy === undefined ? 0 : COPY) |
  (copy === "owed" ? OWED : 0);

function copyOf(flags: number): About["copy"] {
  if ((flags & COPY) === 0) return undefined;
  return (flags & OWED) === 0 ? "mere" : "owed";
}
