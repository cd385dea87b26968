/**
 * What a proxy says before a client's first byte: the PROXY protocol, versions 1 and 2, as HAProxy
 * defines it ("The PROXY protocol", 2.1 and 2.2).
 */
import { isIP } from "node:net";

/** What it says. */
export interface ProxyHeader {
  /** The client's; undefined: the proxy speaks for itself, as when it looks whether we live. */
  readonly address: string | undefined;
  /** Whether the client speaks TLS with the proxy. Only version 2 can say so. */
  readonly isTls: boolean;
  /** Bytes it takes. */
  readonly length: number;
}

const ITSELF = { address: undefined, isTls: false };

/** Version 1 is a line of at most 107 bytes, its end among them. */
const LINE_MAX = 107;
const LINE_START = Buffer.from("PROXY ");
const LINE = /^PROXY (?:(?<family>TCP4|TCP6) (?<source>\S+) \S+ \d+ \d+|UNKNOWN(?: .*)?)$/;

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n");
const FIXED = 16;
/** After the fixed part: more than an address and what proxies are known to add. */
const REST_MAX = 4_096;
const VERSION = 2;
/** Commands. */
const LOCAL = 0;
const PROXY = 1;
/** Families: bytes of an address, twice, and of two ports. */
const INET = 1;
const INET6 = 2;
const INET_BYTES = 12;
const INET6_BYTES = 36;
/** The field about TLS, and the bit in its first byte: the client came over TLS. */
const FIELD_TLS = 0x20;
const IS_TLS = 0x01;

/** @returns undefined while more must be read; "wrong" for what no proxy says */
export function readProxyHeader(bytes: Buffer): ProxyHeader | "wrong" | undefined {
  if (isBegun(bytes, SIGNATURE)) return bytes.length < FIXED ? undefined : readBinary(bytes);
  if (isBegun(bytes, LINE_START)) return readLine(bytes);
  return "wrong";
}

/** Whether both are the same as far as they go. */
function isBegun(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, length, 0, length) === 0;
}

function readLine(bytes: Buffer): ProxyHeader | "wrong" | undefined {
  const end = bytes.subarray(0, LINE_MAX).indexOf("\r\n");
  if (end < 0) return bytes.length < LINE_MAX ? undefined : "wrong";
  const match = LINE.exec(bytes.toString("latin1", 0, end));
  if (match === null) return "wrong";
  const length = end + 2;
  const { family, source = "" } = match.groups ?? {};
  if (family === undefined) return { ...ITSELF, length };
  if (isIP(source) !== (family === "TCP4" ? 4 : 6)) return "wrong";
  return { address: source, isTls: false, length };
}

function readBinary(bytes: Buffer): ProxyHeader | "wrong" | undefined {
  const [version, command] = halves(bytes[12]);
  const restBytes = bytes.readUInt16BE(14);
  if (version !== VERSION || command > PROXY || restBytes > REST_MAX) return "wrong";
  const length = FIXED + restBytes;
  if (bytes.length < length) return undefined;
  const [family] = halves(bytes[13]);
  const rest = bytes.subarray(FIXED, length);
  if (command === LOCAL) return { ...ITSELF, length };
  if (family === INET && rest.length >= INET_BYTES) {
    const address = rest.subarray(0, 4).join(".");
    return { address, isTls: isTls(rest.subarray(INET_BYTES)), length };
  }
  if (family === INET6 && rest.length >= INET6_BYTES) {
    const groups = Array.from({ length: 8 }, (_, at) => rest.readUInt16BE(2 * at).toString(16));
    return { address: groups.join(":"), isTls: isTls(rest.subarray(INET6_BYTES)), length };
  }
  return "wrong";
}

const halves = (byte = 0): readonly [number, number] => [byte >> 4, byte & 0x0f];

/** Goes through the fields: a type, a length of two bytes, a value. */
function isTls(fields: Buffer): boolean {
  let at = 0;
  while (at + 3 <= fields.length) {
    const end = at + 3 + fields.readUInt16BE(at + 1);
    if (fields[at] === FIELD_TLS && end > at + 3 && end <= fields.length) {
      return ((fields[at + 3] ?? 0) & IS_TLS) !== 0;
    }
    at = end;
  }
  return false;
}
