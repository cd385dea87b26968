/** XEP-0377: what a user says about an address when blocking it. */
import { fromElement } from "../../stanza/envelope.ts";
import { StanzaError } from "../../stanza/error.ts";
import { CLIENT_NS } from "../../stanza/reply.ts";
import type { Element } from "../../xml/element.ts";
import { el } from "../../xml/element.ts";
import { child, children, text } from "../../xml/names.ts";
import type { Envelope } from "../contract.ts";

export const REPORTING_NS = "urn:xmpp:reporting:1";
const STANZA_IDS_NS = "urn:xmpp:sid:0";

const REASONS: Readonly<Record<string, "spam" | "abuse">> = {
  "urn:xmpp:reporting:spam": "spam",
  "urn:xmpp:reporting:abuse": "abuse",
};
const TEXT_CHARACTERS_MAX = 2_000;
const STANZA_IDS_MAX = 100;

export interface Report {
  readonly reported: string;
  readonly reason: "spam" | "abuse" | "other";
  readonly element: Element;
}

/**
 * The report in a blocked item; undefined when there is none.
 * @throws StanzaError for a report without a reason
 */
export function readReport(item: Element, reported: string): Report | undefined {
  const element = child(item, "report", REPORTING_NS);
  if (element === undefined) return undefined;
  const reason: unknown = element.attrs.reason;
  if (typeof reason !== "string" || reason === "") {
    throw new StanzaError("bad-request", "Cannot report: no reason given");
  }
  return { reported, reason: REASONS[reason] ?? "other", element };
}

/** The message that takes a report to the people who look after such things. */
export function reportMessage(
  { reported, element }: Report,
  { reporter, from, to, nowMs }: { reporter: string; from: string; to: string; nowMs: number },
): Envelope {
  const said = children(element, "text", REPORTING_NS).map(text).join("\n").trim();
  const words = said.slice(0, TEXT_CHARACTERS_MAX).toWellFormed();
  const reason = String(element.attrs.reason);
  const ids = children(element, "stanza-id", STANZA_IDS_NS).slice(0, STANZA_IDS_MAX);
  const body = `${reporter} reports ${reported}: ${reason}${words === "" ? "" : `\n${words}`}`;
  const report = el("report", { xmlns: REPORTING_NS, reason, jid: reported }, [
    ...ids.map(({ attrs: { by, id } }) => el("stanza-id", { xmlns: STANZA_IDS_NS, by, id })),
    words === "" ? undefined : el("text", {}, words),
  ]);
  const message = el("message", { xmlns: CLIENT_NS, from, to }, el("body", {}, body), report);
  return fromElement(message, nowMs);
}
