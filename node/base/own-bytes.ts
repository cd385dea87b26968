/**
 * Bytes for whoever keeps them long. Most buffers are pieces of a large one that Node shares out, and each
 * keeps all of it in memory: 64 KiB for a stanza.
 */
export function ownBytes(bytes: Buffer): Buffer {
  if (bytes.buffer.byteLength === bytes.length) return bytes;
  const own = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(own);
  return own;
}
