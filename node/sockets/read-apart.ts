/**
 * Sockets whose reads share little memory. Node 26 gives out slices of slabs of 64 KiB: what is kept
 * of a message keeps a whole slab, and a plain socket reads into an untouched one only. With plain ones and
 * TLS on one node each message took a slab, and every half second a full garbage collection. A plain socket
 * that reads apart needs no buffer and no object of V8's for its memory with each read, either: a tenth of
 * what a message costs the sockets.
 */

/** As far as it is used. */
interface Socket {
  emit(event: "data", bytes: Buffer): boolean;
}

/** What node keeps in it, under symbols of its own. */
interface Insides {
  [field: symbol]: unknown;
  readonly _handle?: { useUserBuffer?(buffer: Uint8Array): void } | null;
}

/** More than a record of TLS. */
const PLACE_BYTES = 65_536;
/** Of what a kept message keeps besides itself; a buffer for each read would cost more than the read. */
const SHARED_BYTES = 8_192;
/** From here on it has a buffer of its own. */
const LARGE_BYTES = SHARED_BYTES / 4;

/** All sockets read into it in turn, and what was read is copied at once. */
const place = Buffer.allocUnsafeSlow(PLACE_BYTES);
let shared = Buffer.allocUnsafeSlow(SHARED_BYTES);
let taken = 0;

function spaceFor(bytes: number): Buffer {
  if (bytes >= LARGE_BYTES) return Buffer.allocUnsafeSlow(bytes);
  if (taken + bytes > SHARED_BYTES) {
    shared = Buffer.allocUnsafeSlow(SHARED_BYTES);
    taken = 0;
  }
  taken += bytes;
  return shared.subarray(taken - bytes, taken);
}

function onRead(this: Socket, bytes: number): boolean {
  const own = spaceFor(bytes);
  place.copy(own, 0, 0, bytes);
  this.emit("data", own);
  return true;
}

/** Where sockets keep a buffer, and who is called when it has been read into. */
let fields: readonly (symbol | undefined)[] | undefined;

/**
 * For a socket that nothing has been read from. What `onread` of net.connect does, which node lets only
 * sockets that dial have; where a later node keeps it elsewhere, the socket reads as it always does.
 */
export function readApart(socket: Socket): void {
  const insides = socket as Socket & Insides;
  fields ??= ["kBuffer", "kBufferCb"].map((name) =>
    Object.getOwnPropertySymbols(socket).find(({ description }) => description === name),
  );
  const [buffer, callback] = fields;
  const handle = insides._handle;
  if (buffer === undefined || callback === undefined || !handle?.useUserBuffer) return;
  insides[buffer] = place;
  insides[callback] = onRead;
  handle.useUserBuffer(place);
}
