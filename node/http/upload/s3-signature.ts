/**
 * URLs that a service with the interface of Amazon S3 obeys for a while: AWS Signature Version 4 in
 * the query, as its documentation gives it. By hand, because the vendor's SDK is larger than Zonda.
 */
import { createHash, createHmac } from "node:crypto";
import { strictly } from "./names.ts";

export interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

export interface Presigned {
  readonly method: "DELETE" | "GET" | "PUT";
  /** Its path encoded as RFC 3986 has it. */
  readonly url: URL;
  /** Headers that the request must have; names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly nowMs: number;
  readonly seconds: number;
}

const hmac = (key: string | Buffer, text: string) =>
  createHmac("sha256", key).update(text).digest();
/** The URL with its signature. */
export function presign(key: AccessKey, { method, url, headers, nowMs, seconds }: Presigned): URL {
  const time = new Date(nowMs).toISOString().replace(/[-:]|\.\d{3}/g, "");
  const scope = `${time.slice(0, 8)}/${key.region}/s3/aws4_request`;
  const all: [string, string][] = [["host", url.host], ...Object.entries(headers)];
  all.sort(([one], [other]) => (one < other ? -1 : 1));
  const names = all.map(([name]) => name).join(";");
  const query: [string, string][] = [
    ...url.searchParams,
    ["X-Amz-Algorithm", "AWS4-HMAC-SHA256"],
    ["X-Amz-Credential", `${key.accessKeyId}/${scope}`],
    ["X-Amz-Date", time],
    ["X-Amz-Expires", String(seconds)],
    ["X-Amz-SignedHeaders", names],
  ];
  const pairs = query.map(([name, value]) => `${strictly(name)}=${strictly(value)}`).toSorted();
  const canonical = [
    method,
    url.pathname,
    pairs.join("&"),
    ...all.map(([name, value]) => `${name}:${value.trim()}`),
    "",
    names,
    "UNSIGNED-PAYLOAD",
  ].join("\n");
  const hash = createHash("sha256").update(canonical).digest("hex");
  const steps = [time.slice(0, 8), key.region, "s3", "aws4_request"];
  const signing = steps.reduce<string | Buffer>(hmac, `AWS4${key.secretAccessKey}`);
  const signature = hmac(signing, `AWS4-HMAC-SHA256\n${time}\n${scope}\n${hash}`).toString("hex");
  const signed = new URL(url);
  signed.search = `?${pairs.join("&")}&X-Amz-Signature=${signature}`;
  return signed;
}
