/**
 * XEP-0352 Client State Indication: what nobody looks at waits, on the session's node, until
 * something important comes or the client is active again, and then comes first and in order. Only
 * what is of the moment waits (presence, chat states, events of PEP): it may be lost with
 * the session. Everything else goes on at once and is acknowledged as ever.
 */
import { integer } from "../config/options.ts";
import { kept } from "../stanza/envelope.ts";
import { forwardedIn } from "../stanza/forward.ts";
import type { Element } from "../xml/element.ts";
import { el } from "../xml/element.ts";
import { children, localName, ns } from "../xml/names.ts";
import type { ClientSession, Envelope } from "./contract.ts";
import {
  announce,
  CONSUME,
  counter,
  defineModule,
  inline,
  LAST,
  on,
  PASS,
  stage,
} from "./contract.ts";

const NS = "urn:xmpp:csi:0";
const STATE = "csi";
const CHAT_STATES = "http://jabber.org/protocol/chatstates";
const PUBSUB_EVENT = "http://jabber.org/protocol/pubsub#event";
const CARBONS = "urn:xmpp:carbons:2";
/** What goes along with a chat state and is nothing by itself. */
const COMPANIONS: ReadonlySet<string> = new Set(["urn:xmpp:hints", "urn:xmpp:sid:0"]);

/** What waits for an inactive client: of each contact the last presence and the last chat state. */
interface Waiting {
  readonly stanzas: Map<string, Envelope>;
  bytes: number;
  /** For what is not replaced by what comes later. */
  made: number;
}

const waitingFor = (session: ClientSession): Waiting | undefined =>
  session.state.get(STATE) as Waiting | undefined;

/**
 * Where it waits: what comes later under the same name takes its place. Undefined for what is
 * important.
 */
function placeOf(envelope: Envelope, waiting: Waiting): string | undefined {
  const { kind, type, from } = envelope;
  if (kind === "presence") {
    return type === "available" || type === "unavailable" ? `presence ${from.full}` : undefined;
  }
  if (kind === "iq" || type === "error") return undefined;
  if (envelope.children.some(({ ns: one }) => one === PUBSUB_EVENT)) {
    if (type !== "headline") return undefined;
    waiting.made += 1;
    return `event ${waiting.made}`;
  }
  if (!isChatState(envelope)) return undefined;
  return `state ${from.full}`;
}

function isChatState(envelope: Envelope): boolean {
  const first = envelope.children[0];
  if (first?.ns === CARBONS) return isForwardedChatState(envelope.element());
  return isChatStateAlone(envelope.children);
}

function isForwardedChatState(message: Element): boolean {
  const inner = forwardedIn(message, CARBONS);
  if (inner === undefined) return false;
  return isChatStateAlone(children(inner).map((one) => ({ name: localName(one), ns: ns(one) })));
}

const isChatStateAlone = (content: Envelope["children"]): boolean =>
  content.some(({ ns: one }) => one === CHAT_STATES) &&
  content.every(
    ({ name, ns: one }) => one === CHAT_STATES || name === "thread" || COMPANIONS.has(one),
  );

/** Hands over what waits. */
function flush(session: ClientSession, waiting: Waiting): void {
  const stanzas = [...waiting.stanzas.values()];
  waiting.stanzas.clear();
  waiting.bytes = 0;
  for (const envelope of stanzas) if (!session.deliver(envelope)) return;
}

export const csi = defineModule({
  name: "csi",
  about: "Keeps back what clients that nobody looks at need not hear at once.",
  implements: [{ xep: 352, version: "1.0.0" }],
  metrics: {
    held: counter("Stanzas kept back for inactive clients."),
    replaced: counter(
      "Stanzas never sent, because a later one of the same contact took its place.",
    ),
  },
  options: {
    stanzasMax: integer({
      about: "Stanzas that wait for one inactive client; then all are sent.",
      default: 500,
      min: 1,
      max: 10_000,
    }),
    bytesMax: integer({
      about: "Bytes that wait for one inactive client; then all are sent.",
      default: 262_144,
      min: 1_024,
      max: 16_777_216,
    }),
  },
  setup({ counts }, { stanzasMax, bytesMax }) {
    function keep(waiting: Waiting, place: string, envelope: Envelope): void {
      const replaced = waiting.stanzas.get(place);
      if (replaced !== undefined) {
        counts.replaced += 1;
        waiting.bytes -= replaced.bytes.length;
        waiting.stanzas.delete(place); // The new one goes to the end.
      }
      counts.held += 1;
      waiting.bytes += envelope.bytes.length;
      waiting.stanzas.set(place, kept(envelope));
    }
    function delivery(envelope: Envelope, session: ClientSession) {
      const waiting = waitingFor(session);
      if (waiting === undefined) return PASS;
      const place = placeOf(envelope, waiting);
      if (place === undefined) {
        flush(session, waiting);
        return PASS;
      }
      keep(waiting, place, envelope);
      if (waiting.stanzas.size > stanzasMax || waiting.bytes > bytesMax) flush(session, waiting);
      return CONSUME;
    }
    function change(session: ClientSession, isActive: boolean): void {
      const waiting = waitingFor(session);
      if (isActive && waiting !== undefined) {
        session.state.delete(STATE);
        flush(session, waiting);
      }
      if (isActive || waiting !== undefined) return;
      session.state.set(STATE, { stanzas: new Map(), bytes: 0, made: 0 } satisfies Waiting);
    }
    return [
      announce(() => el("csi", { xmlns: NS })),
      stage("delivery", LAST, delivery),
      on("clientState", change),
      // XEP-0386, 4.2: the session begins in that state.
      inline(NS, (session, request) => {
        change(session, localName(request) !== "inactive");
        return undefined;
      }),
    ];
  },
});
