/**
 * URLs that a service with the interface of Amazon S3 obeys for a while, signed by the vendor's own
 * library: AWS Signature Version 4 in the query.
 */
import { buildQueryString } from "@smithy/core/protocols";
import { Hash } from "@smithy/core/serde";
import { SignatureV4 } from "@smithy/signature-v4";

export interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

export interface Unsigned {
  readonly method: "DELETE" | "GET" | "PUT";
  /** Its path encoded as RFC 3986 has it. */
  readonly url: URL;
  /** Headers that the request must have; names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly nowMs: number;
  /** A week at most. */
  readonly seconds: number;
}

/** The URL with its signature. */
export type Presign = (unsigned: Unsigned) => Promise<URL>;

const PAYLOAD = "x-amz-content-sha256";
/** Read by the library, which would put it into the URL as well: without it the service assumes the same. */
const UNSIGNED_PAYLOAD = { [PAYLOAD]: "UNSIGNED-PAYLOAD" };
const KEPT_OUT = {
  unhoistableHeaders: new Set([PAYLOAD]),
  unsignableHeaders: new Set([PAYLOAD]),
};

export function presigner({ region, ...credentials }: AccessKey): Presign {
  const signer = new SignatureV4({
    ...{ service: "s3", region, credentials },
    sha256: Hash.bind(null, "sha256"),
    uriEscapePath: false, // It is encoded already; the vendor's other services encode it twice.
  });
  return async ({ method, url, headers, nowMs, seconds }) => {
    const { protocol, hostname, host, pathname, searchParams } = url;
    const { query } = await signer.presign(
      {
        ...{ method, protocol, hostname, path: pathname, query: Object.fromEntries(searchParams) },
        headers: { ...headers, host, ...UNSIGNED_PAYLOAD },
      },
      { signingDate: new Date(nowMs), expiresIn: seconds, ...KEPT_OUT },
    );
    const signed = new URL(url);
    signed.search = buildQueryString(query ?? {});
    return signed;
  };
}
