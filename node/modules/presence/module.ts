/** RFC 6121, sections 3 and 4: who is there, and who may know. */
import { integer } from "../../config/options.ts";
import type { ClientSession, Envelope } from "../contract.ts";
import {
  CONSUME,
  consume,
  counter,
  defineModule,
  EARLY,
  FIRST,
  gauge,
  on,
  PASS,
  service,
  stage,
} from "../contract.ts";
import { Announcer } from "./announce.ts";
import { PresenceArrivals } from "./arrivals.ts";
import { Sightings } from "./sightings.ts";
import { carriedPresence } from "./state.ts";
import { isSubscription } from "./subscription.ts";
import { Subscriptions } from "./subscriptions.ts";
import { Untold } from "./untold.ts";

export const presence = defineModule({
  name: "presence",
  about: "Presence and subscriptions to it.",
  needs: ["roster", "blocking"],
  provides: ["presence"],
  options: {
    directedMax: integer({
      about: "Addresses outside the roster that one session may send its presence to.",
      default: 1_000,
      min: 0,
      max: 100_000,
    }),
    seenMax: integer({
      about: "Contacts' sessions remembered for each session, in case a node dies.",
      default: 10_000,
      min: 100,
      max: 1_000_000,
    }),
    graceSeconds: integer({
      about: "How long sessions of a dead node may go on elsewhere before contacts see them go.",
      default: 4,
      min: 0,
      max: 60,
    }),
    untoldMax: integer({
      about:
        "Pairs of a session and an account remembered, because the account may have missed it.",
      default: 10_000,
      min: 0,
      max: 1_000_000,
    }),
  },
  metrics: {
    untold: gauge("Pairs of a session and an account that may have missed its presence."),
    untoldLost: counter("Such pairs that were not remembered, as there were too many."),
  },
  setup({ roster, blocking, counts, ...host }, limits) {
    const untold = new Untold(host, counts, limits);
    const announcer = new Announcer(host, { roster, blocking, untold }, limits);
    blocking.watch((session, change) => announcer.blockingChanged(session, change));
    const subscriptions = new Subscriptions(host, roster, announcer);
    announcer.watch((session, contacts) => subscriptions.askAgain(session, contacts));
    const sightings = new Sightings(host, { roster, announcer }, limits);
    const arrivals = new PresenceArrivals(host, roster, { announcer, sightings, untold });
    const own = (envelope: Envelope, sender: ClientSession) => {
      const isPresence = envelope.type === "available" || envelope.type === "unavailable";
      return isPresence ? announcer.said(sender, envelope) : CONSUME;
    };
    /** Directed presence goes its way as it is, or as others want it. */
    const directed = (envelope: Envelope, sender: ClientSession) => {
      const decorated = announcer.decorated(sender, envelope);
      if (decorated === envelope) return PASS;
      return Promise.resolve(decorated).then((late) =>
        late === envelope ? PASS : consume(Promise.resolve(host.router.route(late))),
      );
    };
    const send = (envelope: Envelope, sender: ClientSession) => {
      if (envelope.kind !== "presence") return PASS;
      if (isSubscription(envelope.type)) {
        return subscriptions.outbound(envelope, sender, envelope.type);
      }
      if (envelope.to.full === sender.jid.bare) return own(envelope, sender);
      if (!announcer.direct(sender, envelope)) return CONSUME;
      return envelope.type === "available" ? directed(envelope, sender) : PASS;
    };
    const receive = (envelope: Envelope) => {
      if (envelope.kind !== "presence") return PASS;
      if (isSubscription(envelope.type)) return subscriptions.inbound(envelope, envelope.type);
      return envelope.type === "probe" ? subscriptions.probed(envelope) : PASS;
    };
    return [
      service("presence", announcer),
      stage("outbound", EARLY, send),
      stage("inbound", EARLY, receive),
      stage("delivery", FIRST, (envelope, session, fromNode, isBroadcast) =>
        arrivals.delivery(envelope, session, fromNode, isBroadcast),
      ),
      carriedPresence,
      on("ended", (session) => announcer.ended(session)),
      on("nodeDown", ({ incarnation }) => sightings.nodeDown(incarnation)),
      on("takenOver", (session, from) => sightings.takenOver(session, from)),
      on("restored", () => sightings.restored()),
    ];
  },
});
