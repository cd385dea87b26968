/** The one way a stanza comes back as an error. */
import type { Envelope } from "../stanza/contract.ts";
import { fromElement } from "../stanza/envelope.ts";
import type { StanzaCondition } from "../stanza/error.ts";
import { errorReply, StanzaError } from "../stanza/error.ts";
import type { Element } from "../xml/element.ts";

/** RFC 6120, 8.2.3 and 8.3.1: presence, results and errors are never answered. */
function mayAnswer({ kind, type }: Envelope): boolean {
  if (kind === "presence") return false;
  if (kind === "iq") return type !== "result" && type !== "error";
  return type !== "error";
}

/** The error stanza for the sender; undefined when there must be none. */
export function bounceOf(
  envelope: Envelope,
  condition: StanzaCondition,
  application?: Element,
): Envelope | undefined {
  const options = application === undefined ? {} : { application };
  return errorOf(envelope, new StanzaError(condition, "", options));
}

/**
 * The answer to a stanza that is wrong in itself; presence is answered too, because its sender is
 * the one who made the mistake (RFC 6120, 8.3.3.1). Undefined for errors and results.
 */
export function rejectionOf(envelope: Envelope, condition: StanzaCondition): Envelope | undefined {
  const isPresence = envelope.kind === "presence" && envelope.type !== "error";
  if (!isPresence && !mayAnswer(envelope)) return undefined;
  return fromElement(errorReply(envelope, new StanzaError(condition)), envelope.receivedMs);
}

/** As `bounceOf`, for an error that carries its own text. */
export function errorOf(envelope: Envelope, error: StanzaError): Envelope | undefined {
  if (!mayAnswer(envelope)) return undefined;
  return fromElement(errorReply(envelope, error), envelope.receivedMs);
}
