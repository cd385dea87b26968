/** A whole session as one record, for the node that goes on with it. */
import type { Route } from "../routes/contract.ts";
import type { SessionState } from "../session/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import { decodeEnvelope, encodeEnvelope } from "../stanza/wire.ts";
import { readRoute, writeRoute } from "./frames.ts";
import type { About } from "./hand-over.ts";
import { BadFrame, OctetReader, OctetWriter } from "./octets.ts";

/** Far more than an outbox holds. */
const STANZAS_MAX = 200_000;
const STATES_MAX = 1_000;

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
}

export function encodeSession({ state, waiting, held, carried }: SessionRecord): Buffer {
  const writer = new OctetWriter(4_096).extension();
  writer.text(state.route.user);
  writeRoute(writer, state.route);
  writer.u8(state.lang === undefined ? 0 : 1).text(state.lang ?? "");
  writer.u48(state.windowMs).u48(state.received).u48(state.countedFrom).u48(state.acknowledged);
  writeStanzas(writer, waiting);
  writeStanzas(writer, held);
  writer.u16(carried.size);
  for (const [key, bytes] of carried) writer.text(key).block(bytes);
  return writer.done();
}

/** @throws BadFrame, EnvelopeError */
export function decodeSession(payload: Buffer): SessionRecord {
  const reader = new OctetReader(payload);
  reader.skipExtension();
  const route: Route = readRoute(reader, reader.text());
  const hasLang = reader.u8() === 1;
  const lang = reader.text();
  const state = {
    route,
    lang: hasLang ? lang : undefined,
    windowMs: reader.u48(),
    received: reader.u48(),
    countedFrom: reader.u48(),
    acknowledged: reader.u48(),
  };
  const waiting = readStanzas(reader);
  const held = readStanzas(reader);
  const carried = new Map<string, Buffer>();
  for (let left = reader.count(STATES_MAX, 8); left > 0; left -= 1) {
    carried.set(reader.text(), reader.block());
  }
  return { state, waiting, held, carried };
}

function writeStanzas(writer: OctetWriter, stanzas: readonly Waiting[]): void {
  writer.u48(stanzas.length);
  for (const { stanza, about } of stanzas) {
    if (Buffer.isBuffer(stanza)) {
      writer.u8(BYTES).block(stanza);
      continue;
    }
    const origin = about?.origin;
    writer.u8(ENVELOPE | (about === undefined ? 0 : flagsOf(about)));
    if (origin !== undefined) writer.text(origin.session).u48(origin.count);
    writer.block(encodeEnvelope(stanza));
  }
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

function readStanzas(reader: OctetReader): readonly Waiting[] {
  const count = reader.u48();
  if (count > STANZAS_MAX) throw new BadFrame(`${count} stanzas are too many`);
  const stanzas: Waiting[] = [];
  for (let left = count; left > 0; left -= 1) {
    const flags = reader.u8();
    if ((flags & ENVELOPE) === 0) {
      stanzas.push({ stanza: reader.block(), about: undefined });
      continue;
    }
    const origin =
      (flags & HAS_ORIGIN) === 0 ? undefined : { session: reader.text(), count: reader.u48() };
    const about = { origin, isStored: (flags & STORED) !== 0, copy: copyOf(flags) };
    stanzas.push({ stanza: decodeEnvelope(reader.block()), about });
  }
  return stanzas;
}
