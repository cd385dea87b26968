/** XEP-0280 Message Carbons: what one resource sends or receives, the others get copies of. */
import { withoutChildrenOf } from "../../router/envelopes.ts";
import { fromElement } from "../../stanza/envelope.ts";
import { StanzaError } from "../../stanza/error.ts";
import { FORWARD_NS, forwarding } from "../../stanza/forward.ts";
import { Element } from "../../xml/element.ts";
import { child, localName } from "../../xml/names.ts";
import type { ClientSession, Envelope, Request } from "../contract.ts";
import {
  carriedFlag,
  copies,
  defineModule,
  inline,
  iq,
  LATE,
  PASS,
  pass,
  stage,
} from "../contract.ts";
import { CARBONS_NS, isEligible } from "./eligible.ts";

const STATE = "carbons";

const isPrivate = ({ name, ns }: Envelope["children"][number]): boolean =>
  name === "private" && ns === CARBONS_NS;

const isEnabled = (session: ClientSession): boolean => session.state.get(STATE) === true;

function messageIn(copy: Envelope): Envelope | undefined {
  const carbon = child(copy.element(), "received", CARBONS_NS);
  const forwarded = carbon && child(carbon, "forwarded", FORWARD_NS);
  const message = forwarded && child(forwarded, "message", "jabber:client");
  return message && fromElement(message, copy.receivedMs);
}

export const carbons = defineModule({
  name: "carbons",
  about: "Copies messages to the user's other resources that want them.",
  features: [CARBONS_NS, "urn:xmpp:carbons:rules:0"],
  implements: [
    { xep: 249, version: "1.2" },
    { xep: 280, version: "1.0.1" },
    { xep: 297, version: "1.0" },
  ],
  setup() {
    function sessionOf({ session, payload }: Request): ClientSession {
      if (session === undefined) throw new StanzaError("not-allowed");
      if (payload.children.some((child) => child instanceof Element))
        throw new StanzaError("bad-request");
      return session;
    }
    function enable(request: Request) {
      sessionOf(request).state.set(STATE, true);
      return undefined;
    }
    function disable(request: Request) {
      sessionOf(request).state.delete(STATE);
      return undefined;
    }
    function refuse(): never {
      throw new StanzaError("not-allowed");
    }
    /** Section 9: the recipient has no use for it. */
    function withoutPrivate(envelope: Envelope) {
      if (envelope.kind !== "message" || !envelope.children.some(isPrivate)) return PASS;
      return pass({ envelope: withoutChildrenOf(envelope, isPrivate) });
    }
    return [
      iq.set("self", CARBONS_NS, "enable", enable),
      iq.set("self", CARBONS_NS, "disable", disable),
      iq.set("another", CARBONS_NS, "enable", refuse),
      iq.set("another", CARBONS_NS, "disable", refuse),
      stage("inbound", LATE, withoutPrivate),
      // XEP-0386: along with the binding of the resource.
      inline(CARBONS_NS, (session, request) => {
        if (localName(request) === "enable") session.state.set(STATE, true);
        return undefined;
      }),
      copies({
        isCopied: isEligible,
        copyFor: (envelope, session, side) =>
          isEnabled(session)
            ? forwarding(envelope.bytes, {
                from: session.jid.toBare(),
                to: session.jid,
                type: envelope.type,
                receivedMs: envelope.receivedMs,
                name: side,
                ns: CARBONS_NS,
              })
            : undefined,
        messageIn,
      }),
      carriedFlag(STATE),
    ];
  },
});
