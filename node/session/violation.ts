/** RFC 6120, 4.9.3.24 and 8.1.2.1: what ends a bound stream instead of being routed. */
import { Jid } from "../stanza/jid.ts";
import type { StreamCondition } from "../stream/contract.ts";
import { NS_ACKS, NS_CLIENT, NS_CSI } from "../stream/namespaces.ts";
import type { ParsedStanza } from "../xml/contract.ts";

export function violationOf(stanza: ParsedStanza, jid: Jid): StreamCondition | undefined {
  const { name, ns } = stanza;
  if (ns === NS_ACKS) return undefined;
  if (ns === NS_CSI && (name === "active" || name === "inactive")) return undefined;
  const isStanza = name === "message" || name === "presence" || name === "iq";
  if (!isStanza || ns !== NS_CLIENT) return "unsupported-stanza-type";
  const from = stanza.attribute("from");
  return from === undefined || isOwn(from, jid) ? undefined : "invalid-from";
}

function isOwn(from: string, jid: Jid): boolean {
  if (from === jid.full || from === jid.bare) return true;
  try {
    const { full } = Jid.parse(from);
    return full === jid.full || full === jid.bare;
  } catch {
    return false; // Not an address, so not the client's.
  }
}
