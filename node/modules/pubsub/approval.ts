/** XEP-0060, 8.6: an owner's answer to who asked to subscribe, a message to the account itself. */
import { FORM_NS, formIn } from "../../stanza/form.ts";
import type { Envelope, Verdict } from "../contract.ts";
import { CONSUME, PASS } from "../contract.ts";
import { decide } from "./members.ts";
import { AUTHORIZATION } from "./names.ts";
import type { Service } from "./node.ts";

export function approval(service: Service, envelope: Envelope): Verdict | Promise<Verdict> {
  const { kind, from, to, children } = envelope;
  if (kind !== "message" || !to.isBare || from.isBare || from.bare !== to.bare) return PASS;
  if (!children.some(({ ns }) => ns === FORM_NS)) return PASS;
  const form = formIn(envelope.element());
  if (form?.formType !== AUTHORIZATION || form.type !== "submit") return PASS;
  return decide(service, to.bare, form).then(() => CONSUME);
}
