/** What ties a login to the TLS connection it came over (RFC 5056). */
import type { X509Certificate } from "node:crypto";
import { createHash } from "node:crypto";
import type { TLSSocket } from "node:tls";

export type ChannelBindingType = "tls-exporter" | "tls-unique" | "tls-server-end-point";

const EXPORTER_LABEL = "EXPORTER-Channel-Binding";
const EXPORTER_BYTES = 32;

/** In the names OpenSSL has for signatures, such as ecdsa-with-SHA256. */
const HASH_NAME = /md5|sha-?(?:1|224|256|384|512)(?!\d)/i;

/**
 * The bindings that a connection has, the best first; which it has can change until its handshake
 * is done, and not after.
 * @param endPoint of the certificate that the peer was shown, where it is known: reading the
 *   certificate back costs a third of a handshake
 */
export function channelBindingsOf(
  socket: TLSSocket,
  endPoint = endPointOf(socket.getX509Certificate()),
): ReadonlyMap<ChannelBindingType, Buffer> {
  const found = new Map<ChannelBindingType, Buffer>();
  const add = (type: ChannelBindingType, data: Buffer | undefined) => {
    if (data !== undefined) found.set(type, data);
  };
  const protocol = socket.getProtocol();
  if (protocol === "TLSv1.3") add("tls-exporter", exported(socket));
  if (protocol === "TLSv1.2") add("tls-unique", firstFinished(socket));
  add("tls-server-end-point", endPoint);
  return found;
}

/** RFC 9266, 4.2: only TLS 1.3 is sure to have it. */
const exported = (socket: TLSSocket): Buffer =>
  socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0));

/**
 * RFC 5929, 3: the first Finished message, which in a full handshake is the client's. A resumed
 * session has none here: without RFC 7627, which cannot be seen from here, somebody in the middle
 * can make both ends' values equal in it.
 */
const firstFinished = (socket: TLSSocket): Buffer | undefined =>
  socket.isSessionReused() ? undefined : socket.getPeerFinished();

/**
 * RFC 5929, 4: the hash of our certificate by the hash of its signature, at least SHA-256.
 * Undefined for signatures that name no single hash (EdDSA, RSA-PSS).
 */
export function endPointOf(certificate: X509Certificate | undefined): Buffer | undefined {
  const [name] = HASH_NAME.exec(certificate?.signatureAlgorithm ?? "") ?? [];
  if (certificate === undefined || name === undefined) return undefined;
  const hash = name.toLowerCase().replace("-", "");
  const isWeak = hash === "md5" || hash === "sha1";
  return createHash(isWeak ? "sha256" : hash)
    .update(certificate.raw)
    .digest();
}
