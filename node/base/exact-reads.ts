/**
 * TLS sockets that read into buffers of the size of what they read. Node 26 gives out slices of slabs of
 * 64 KiB: what is kept of a message keeps a whole slab, and a plain socket reads into an untouched one
 * only. With both on one node each message took a slab, and every half second a full garbage collection.
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
const BYTES = 65_536;

/** All sockets read into it in turn, and what was read is copied at once. */
const place = Buffer.allocUnsafeSlow(BYTES);

function onRead(this: Socket, bytes: number): boolean {
  const own = Buffer.allocUnsafeSlow(bytes);
  place.copy(own, 0, 0, bytes);
  this.emit("data", own);
  return true;
}

/**
 * For a socket that nothing has been read from. What `onread` of net.connect does, which node lets only
 * sockets that dial have; where a later node keeps it elsewhere, the socket reads as it always does.
 */
export function readExactly(socket: Socket): void {
  const insides = socket as Socket & Insides;
  const symbols = Object.getOwnPropertySymbols(socket);
  const fieldOf = (name: string) => symbols.find(({ description }) => description === name);
  const [buffer, callback] = [fieldOf("kBuffer"), fieldOf("kBufferCb")];
  const handle = insides._handle;
  if (buffer === undefined || callback === undefined || !handle?.useUserBuffer) return;
  insides[buffer] = place;
  insides[callback] = onRead;
  handle.useUserBuffer(place);
}
