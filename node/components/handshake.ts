/** XEP-0114, section 3: headers, and the proof that the component knows the secret. */
import { digest, sameBytes } from "../auth/hashes.ts";
import { prepareDomain } from "../stanza/domain.ts";
import type { StreamCondition } from "../stream/contract.ts";
import { NS_STREAM } from "../stream/namespaces.ts";
import type { StreamOpen } from "../xml/contract.ts";
import { escapeAttribute } from "../xml/write.ts";
import { NS_COMPONENT } from "./namespace.ts";

/** Secrets by prepared domain. */
export type Secrets = ReadonlyMap<string, string>;

export type HeaderVerdict =
  | { readonly kind: "accepted"; readonly domain: string }
  | { readonly kind: "refused"; readonly condition: StreamCondition };

const refused = (condition: StreamCondition): HeaderVerdict => ({ kind: "refused", condition });

/** The component names its own domain in `to`. */
export function checkHeader(open: StreamOpen, secrets: Secrets): HeaderVerdict {
  const { ns, name, scope, attributes } = open;
  if (ns !== NS_STREAM || scope.get("") !== NS_COMPONENT) return refused("invalid-namespace");
  if (name !== "stream") return refused("bad-format");
  const domain = prepareDomain(attributes.to ?? "");
  if (domain === undefined || !secrets.has(domain)) return refused("host-unknown");
  return { kind: "accepted", domain };
}

export function writeHeader(id: string, domain: string | undefined): Buffer {
  const from = domain === undefined ? "" : ` from='${escapeAttribute(domain)}'`;
  return Buffer.from(
    `<?xml version='1.0'?><stream:stream xmlns='${NS_COMPONENT}' xmlns:stream='${NS_STREAM}' ` +
      `id='${escapeAttribute(id)}'${from}>`,
  );
}

export const HANDSHAKE_DONE: Buffer = Buffer.from("<handshake/>");

/** Whether `said` is SHA-1 of the stream's id and the secret, in hexadecimal digits. */
export const isProof = (said: string, id: string, secret: string): boolean =>
  sameBytes(Buffer.from(said), Buffer.from(digest("sha1", id + secret).toString("hex")));
