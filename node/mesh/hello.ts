/** The handshake: each side says which protocol versions it speaks and who it is. */
import { MalformedFrame } from "./frame.ts";

export interface ProtocolRange {
  readonly min: number;
  readonly max: number;
}

export interface Hello {
  readonly protocol: ProtocolRange;
  readonly incarnation: string;
}

/** What this build speaks. Version N and N+1 always interoperate (docs/architecture.md). */
export const PROTOCOL: ProtocolRange = { min: 1, max: 1 };

const MAGIC = Buffer.from("zondamsh", "latin1");
const INCARNATION_BYTES_MAX = 128;
/** A hello may grow at its end: what we do not know we ignore. */
export const HELLO_BYTES_MAX = 4_096;

/** Magic, u16 lowest version, u16 highest version, u8 length, incarnation. */
export function encodeHello({ protocol, incarnation }: Hello): Buffer {
  const name = Buffer.from(incarnation, "utf8");
  if (name.length === 0 || name.length > INCARNATION_BYTES_MAX) {
    throw new RangeError(`Cannot say hello: an incarnation of ${name.length} bytes`);
  }
  const head = Buffer.alloc(5);
  head.writeUInt16BE(protocol.min, 0);
  head.writeUInt16BE(protocol.max, 2);
  head.writeUInt8(name.length, 4);
  return Buffer.concat([MAGIC, head, name]);
}

/** @throws MalformedFrame: whoever this is, it is not a node. */
export function decodeHello(payload: Buffer): Hello {
  if (!payload.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw new MalformedFrame("Cannot read hello: mesh-magic, the peer is not a node");
  }
  const head = payload.subarray(MAGIC.length);
  const length = head.length < 5 ? 0 : head.readUInt8(4);
  if (length === 0 || length > INCARNATION_BYTES_MAX || head.length < 5 + length) {
    throw new MalformedFrame("Cannot read hello: it is cut short");
  }
  const protocol = { min: head.readUInt16BE(0), max: head.readUInt16BE(2) };
  return { protocol, incarnation: head.toString("utf8", 5, 5 + length) };
}

/** The highest version that both speak; undefined when there is none. */
export function commonVersion(ours: ProtocolRange, theirs: ProtocolRange): number | undefined {
  const version = Math.min(ours.max, theirs.max);
  return version >= Math.max(ours.min, theirs.min) ? version : undefined;
}

/** Why there is no common version, for both logs. */
export const versionRefusal = (ours: ProtocolRange, theirs: ProtocolRange): string =>
  `mesh-version, it speaks protocol ${theirs.min} to ${theirs.max}, we ${ours.min} to ${ours.max}`;
