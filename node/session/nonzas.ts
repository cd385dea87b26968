/** What XEP-0198 says beside the stanzas. */
import { NS_ACKS, NS_STANZA_ERROR } from "../stream/namespaces.ts";
import type { ParsedStanza } from "../xml/contract.ts";
import { escapeAttribute } from "../xml/write.ts";

export const REQUEST = Buffer.from(`<r xmlns='${NS_ACKS}'/>`);

const ENABLED = Buffer.from(`<enabled xmlns='${NS_ACKS}'/>`);

/** @param resumption undefined: acknowledgements only */
export function enabled(
  resumption: { readonly id: string; readonly maxSeconds: number } | undefined,
): Buffer {
  if (resumption === undefined) return ENABLED;
  const { id, maxSeconds } = resumption;
  return Buffer.from(
    `<enabled xmlns='${NS_ACKS}' id='${escapeAttribute(id)}' resume='true' max='${maxSeconds}'/>`,
  );
}

export const answer = (h: number): Buffer => Buffer.from(`<a xmlns='${NS_ACKS}' h='${h}'/>`);

export const resumed = (previd: string, h: number): Buffer =>
  Buffer.from(`<resumed xmlns='${NS_ACKS}' previd='${escapeAttribute(previd)}' h='${h}'/>`);

/**
 * The answer to what cannot be enabled or resumed (sections 3, 5 and 6).
 * @param h what was accepted from a session that is over, if that is known
 */
export function acksFailed(condition: string, h?: number): Buffer {
  const count = h === undefined ? "" : ` h='${h}'`;
  const reason = `<${condition} xmlns='${NS_STANZA_ERROR}'/>`;
  return Buffer.from(`<failed xmlns='${NS_ACKS}'${count}>${reason}</failed>`);
}

/** What a client says that it has, it has, whatever is ahead of that and whosever its session is. */
export const isAcknowledgement = ({ name, ns }: ParsedStanza): boolean =>
  name === "a" && ns === NS_ACKS;

/** Section 4: the application condition for a client that counts what was never sent. */
export const countTooHigh = (h: number, sent: number): string =>
  `<handled-count-too-high xmlns='${NS_ACKS}' h='${h}' send-count='${sent}'/>`;

/** A count modulo 2^32; undefined for what is none. */
export function readCount(text: string | undefined): number | undefined {
  const count = /^\d{1,10}$/.test(text ?? "") ? Number(text) : Number.NaN;
  return count < 2 ** 32 ? count : undefined;
}
