/**
 * Puts child elements into a stanza, or takes them out, without writing the rest again. The bytes
 * are one stanza as `Envelope.bytes` holds it: checked, without comments or instructions.
 */
const LT = 0x3c;
const GT = 0x3e;
const SLASH = 0x2f;
const BANG = 0x21;
const QUOTE = 0x22;
const APOSTROPHE = 0x27;
const END_TAG_START = Buffer.from("</");
const SECTION_END = Buffer.from("]]>");
const CLOSE = Buffer.from(">");

/** The stanza with one more child, the last one. */
export function withChild(bytes: Buffer, child: Buffer): Buffer {
  // A stanza that ends with "/>" is a single empty tag; any other ends with its own end tag.
  if (bytes[bytes.length - 2] !== SLASH) {
    const end = bytes.lastIndexOf(END_TAG_START);
    return Buffer.concat([bytes.subarray(0, end), child, bytes.subarray(end)]);
  }
  const name = /^<([^\s/>]+)/.exec(bytes.toString("utf8"))?.[1] ?? "";
  const open = bytes.subarray(0, bytes.length - 2);
  return Buffer.concat([open, CLOSE, child, Buffer.from(`</${name}>`)]);
}

/** The stanza without some of its child elements, which are counted from 0. */
export function withoutChildren(bytes: Buffer, isUnwanted: (index: number) => boolean): Buffer {
  const kept: Buffer[] = [];
  let keptTo = 0;
  childRanges(bytes).forEach(({ from, to }, index) => {
    if (!isUnwanted(index)) return;
    kept.push(bytes.subarray(keptTo, from));
    keptTo = to;
  });
  return keptTo === 0 ? bytes : Buffer.concat([...kept, bytes.subarray(keptTo)]);
}

interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/** Where the child elements stand, in order. */
function childRanges(bytes: Buffer): readonly ByteRange[] {
  const ranges: ByteRange[] = [];
  let depth = 0;
  let from = 0;
  for (let at = bytes.indexOf(LT); at !== -1; at = bytes.indexOf(LT, at)) {
    if (bytes[at + 1] === BANG) {
      at = bytes.indexOf(SECTION_END, at) + SECTION_END.length;
      continue;
    }
    const start = at;
    at = tagEnd(bytes, start);
    if (bytes[start + 1] === SLASH) {
      depth -= 1;
      if (depth === 1) ranges.push({ from, to: at });
    } else if (bytes[at - 2] === SLASH) {
      if (depth === 1) ranges.push({ from: start, to: at });
    } else {
      if (depth === 1) from = start;
      depth += 1;
    }
  }
  return ranges;
}

/** The position behind the ">" of the tag that begins at `start`; quoted ones are none. */
function tagEnd(bytes: Buffer, start: number): number {
  let quote = 0;
  for (let at = start; at < bytes.length; at += 1) {
    const octet = bytes[at] as number;
    if (quote !== 0) {
      if (octet === quote) quote = 0;
    } else if (octet === QUOTE || octet === APOSTROPHE) quote = octet;
    else if (octet === GT) return at + 1;
  }
  return bytes.length;
}
