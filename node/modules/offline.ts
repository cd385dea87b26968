/**
 * XEP-0160: messages for users who are away are stored, and handed over once, in order, when one
 * of their resources arrives. How they are handed over is in offline-drain.ts.
 */
import { integer } from "../config/options.ts";
import type { Origin } from "../stanza/origin.ts";
import { isSameOrigin } from "../stanza/origin.ts";
import type { Envelope, Verdict } from "./contract.ts";
import { bounce, CONSUME, defineModule, FIRST, LAST, on, PASS, stage } from "./contract.ts";
import { Drains } from "./offline-drain.ts";
import { idOf, originOf } from "./offline-id.ts";

const CHAT_STATES = "http://jabber.org/protocol/chatstates";
const HINTS = "urn:xmpp:hints";

export const offline = defineModule({
  name: "offline",
  about: "Keeps messages for users who are away.",
  needs: ["history"],
  features: ["msgoffline"],
  implements: [
    { xep: 160, version: "1.0.1" },
    { xep: 203, version: "2.0" },
  ],
  options: {
    messagesMax: integer({
      about: "Messages kept for one user; further ones are returned to their senders.",
      default: 1_000,
      min: 1,
      max: 100_000,
    }),
    acknowledgeSeconds: integer({
      about: "How long a client may take to acknowledge stored messages before they are kept.",
      default: 10,
      min: 1,
      max: 3_600,
    }),
  },
  setup({ history, ...host }, { messagesMax, acknowledgeSeconds }) {
    const drains = new Drains(host, history, acknowledgeSeconds * 1_000);
    /** Whether the node that died, which its sender sent it to before, has stored it. */
    async function isStored(user: string, origin: Origin): Promise<boolean> {
      const stored = await host.offline.list(user, messagesMax);
      return stored.some(({ id }) => isSameOrigin(originOf(id), origin));
    }
    async function store(envelope: Envelope, origin: Origin): Promise<Verdict> {
      const { bytes, receivedMs, to } = envelope;
      // With the time of then, which is its place: live messages that wait go before and behind it by that.
      if (origin.isAgain !== true || !(await isStored(to.bare, origin))) {
        const message = { id: idOf(receivedMs, origin), receivedMs, bytes };
        if (!(await host.offline.add(to.bare, message, messagesMax))) {
          return bounce("service-unavailable"); // XEP-0160, 3: the store is full.
        }
      }
      // Somebody may have arrived between "nobody is there" and this write. Their node looks now,
      // and what this sender sends next comes after it.
      await host.router.wake(to.bare);
      return CONSUME;
    }
    return [
      stage("unavailable", FIRST, (envelope) => (isOfTheMoment(envelope) ? CONSUME : PASS)),
      stage("unavailable", LAST, (envelope, origin) =>
        isKept(envelope) ? store(envelope, origin) : PASS,
      ),
      on("arriving", (session) => host.router.deliveries.hold(session)),
      on("arrived", (session) => drains.arrived(session)),
      on("takenOver", (session) => drains.takenOver(session)),
      on("detached", (session) => drains.detached(session)),
      on("resumed", (session) => drains.resumed(session)),
      on("ended", (session) => drains.ended(session)),
      on("wake", (user) => drains.wake(user)),
      on("nodeDown", () => drains.retry()),
      on("restored", () => drains.restored()),
    ];
  },
});

/** Section 3: a chat message with nothing but a chat state is not worth keeping. */
const isOfTheMoment = ({ type, children }: Envelope) =>
  type === "chat" &&
  children.length > 0 &&
  children.every(({ name, ns }) => ns === CHAT_STATES || name === "thread");

/** XEP-0334: the sender asked not to store it even for a while, so it is returned. */
const isKept = ({ children }: Envelope) =>
  !children.some(({ name, ns }) => ns === HINTS && name === "no-store");
