/** Stanzas that the door itself answers with, before and beside the router. */

import { NS_BIND, NS_CLIENT, NS_SESSION, NS_STANZA_ERROR } from "../stream/namespaces.ts";
import type { ParsedStanza } from "../xml/contract.ts";
import { escapeAttribute } from "../xml/write.ts";

/** RFC 6120, 8.3.2. */
export type ErrorType = "auth" | "cancel" | "modify" | "wait";

const start = (request: ParsedStanza, type: string): string => {
  const { id, to } = request.attributes;
  const idPart = id === undefined ? "" : ` id='${escapeAttribute(id)}'`;
  const fromPart = to === undefined ? "" : ` from='${escapeAttribute(to)}'`;
  return `<iq xmlns='${NS_CLIENT}' type='${type}'${idPart}${fromPart}`;
};

/** @param payload already XML */
export const iqResult = (request: ParsedStanza, payload = ""): Buffer =>
  Buffer.from(`${start(request, "result")}${payload === "" ? "/>" : `>${payload}</iq>`}`);

export const iqError = (request: ParsedStanza, type: ErrorType, condition: string): Buffer =>
  Buffer.from(
    `${start(request, "error")}><error type='${type}'>` +
      `<${condition} xmlns='${NS_STANZA_ERROR}'/></error></iq>`,
  );

/** Whether it is an iq of that type whose only payload is that element. */
export const isRequest = (
  stanza: ParsedStanza,
  type: "get" | "set" | "any",
  ns: string,
  name: string,
): boolean => {
  const [child, ...others] = stanza.children;
  if (stanza.name !== "iq" || child === undefined || others.length > 0) return false;
  const { type: given } = stanza.attributes;
  const isType = type === "any" ? given === "get" || given === "set" : given === type;
  return isType && child.ns === ns && child.name === name;
};

/** The answer to a bound client's request about the stream itself; undefined for any other. */
export function streamAnswer(stanza: ParsedStanza): Buffer | undefined {
  if (isRequest(stanza, "set", NS_SESSION, "session")) return iqResult(stanza);
  // One resource a stream.
  if (isRequest(stanza, "set", NS_BIND, "bind")) return iqError(stanza, "cancel", "not-allowed");
  return undefined;
}
