/** The priority of a resource (RFC 6121, section 4.7.2.3). */
import { children, text } from "../xml/names.ts";
import type { Envelope } from "./contract.ts";
import { CLIENT_NS } from "./reply.ts";

/** What a presence stanza says, 0 where it says nothing; undefined for no integer from -128 to 127, or several. */
export function priorityIn(envelope: Envelope): number | undefined {
  if (!envelope.children.some(({ name, ns }) => name === "priority" && ns === CLIENT_NS)) return 0;
  const [element, ...more] = children(envelope.element(), "priority", CLIENT_NS);
  const said = element === undefined ? "" : text(element).trim();
  const priority = Number(said);
  const isOne = more.length === 0 && /^[+-]?\d{1,3}$/.test(said);
  return isOne && priority >= -128 && priority <= 127 ? priority : undefined;
}
