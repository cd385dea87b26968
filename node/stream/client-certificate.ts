/** Who a client's certificate says it is (XEP-0178). */
import type { TLSSocket } from "node:tls";

/**
 * Node tells only its own TLS server whether OpenSSL accepted the peer's chain; a socket that has
 * begun TLS by STARTTLS has the answer in its handle. If that ever goes, nobody is believed.
 */
interface Handle {
  readonly verifyError?: () => Error | null;
}

const isVerified = (socket: TLSSocket): boolean => {
  const { _handle: handle } = socket as unknown as { readonly _handle?: Handle | null };
  return handle?.verifyError !== undefined && handle.verifyError() === null;
};

const QUOTED = /"(?:[^"\\]|\\.)*"/g;
const ADDRESS = /^othername:XmppAddr:([^"]+)$/i;

/**
 * The addresses (RFC 6120, 13.7.1.4: id-on-xmppAddr) in the client's certificate, as they stand
 * there; none when it has no certificate or the authority for clients has not signed it.
 */
export function certifiedAddresses(socket: TLSSocket): readonly string[] {
  const names = socket.getPeerX509Certificate()?.subjectAltName;
  if (names === undefined || !isVerified(socket)) return [];
  // Node quotes what could be taken for several names.
  return names
    .replaceAll(QUOTED, '""')
    .split(", ")
    .flatMap((name) => ADDRESS.exec(name)?.[1] ?? []);
}
