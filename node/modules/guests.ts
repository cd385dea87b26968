/**
 * Users of domains for guests (XEP-0175) come without an account and leave without a trace: what
 * would be kept for them is refused, by whomever it is asked. Modules that keep something on their
 * own ask `host.isGuest`.
 */
import type { ClientSession, Envelope } from "./contract.ts";
import { bounce, CONSUME, defineModule, FIRST, PASS, stage } from "./contract.ts";

/** Changes of the user's own account that are kept nowhere. */
const UNKEPT: ReadonlySet<string> = new Set(["urn:xmpp:carbons:2"]);

const SUBSCRIPTION: ReadonlySet<string> = new Set([
  "subscribe",
  "subscribed",
  "unsubscribe",
  "unsubscribed",
]);

const isSubscription = ({ kind, type }: Envelope): boolean =>
  kind === "presence" && SUBSCRIPTION.has(type);

export const guests = defineModule({
  name: "guests",
  about: "Keeps nothing for users of domains that are for guests.",
  setup({ isGuest }) {
    const isKept = ({ kind, type, to, from, children }: Envelope) =>
      kind === "iq" &&
      type === "set" &&
      to.full === from.bare &&
      !UNKEPT.has(children[0]?.ns ?? "");
    function outbound(envelope: Envelope, { jid }: ClientSession) {
      if (!isGuest(jid)) return PASS;
      if (isSubscription(envelope)) return CONSUME; // Presence is not answered.
      return isKept(envelope) ? bounce("not-allowed") : PASS;
    }
    const inbound = (envelope: Envelope) =>
      isSubscription(envelope) && isGuest(envelope.to) ? CONSUME : PASS;
    const unavailable = ({ to }: Envelope) => (isGuest(to) ? bounce("service-unavailable") : PASS);
    return [
      stage("outbound", FIRST, outbound),
      stage("inbound", FIRST, inbound),
      stage("unavailable", FIRST, unavailable),
    ];
  },
});
