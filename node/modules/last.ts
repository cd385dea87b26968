/**
 * XEP-0012 Last Activity: when a user was last there, kept when a resource goes; and for how long
 * this node has been up. Clients answer for themselves.
 */
import { Unavailable } from "../base/errors.ts";
import { StanzaError } from "../stanza/error.ts";
import { CLIENT_NS } from "../stanza/reply.ts";
import { el } from "../xml/element.ts";
import { child, text } from "../xml/names.ts";
import type { ClientSession, Envelope, Request } from "./contract.ts";
import { carriedFlag, counter, defineModule, FIRST, iq, on, PASS, stage } from "./contract.ts";

const NS = "jabber:iq:last";
const STATE = "last";
const KEY = "last";
const STATUS_CHARACTERS_MAX = 1_000;

interface Left {
  readonly atMs: number;
  readonly status: string;
}

const encoded = (left: Left): Buffer => Buffer.from(JSON.stringify(left));

/** Undefined for what is not one. */
function decoded(value: Buffer): Left | undefined {
  const { atMs, status } = JSON.parse(value.toString()) as Partial<Left>;
  return typeof atMs === "number" && typeof status === "string" ? { atMs, status } : undefined;
}

function statusOf(envelope: Envelope): string {
  if (envelope.children.length === 0) return "";
  const status = child(envelope.element(), "status", CLIENT_NS);
  return status === undefined ? "" : text(status).slice(0, STATUS_CHARACTERS_MAX).toWellFormed();
}

const answer = (ms: number, status = "") =>
  el("query", { xmlns: NS, seconds: String(Math.max(0, Math.floor(ms / 1_000))) }, status);

export const last = defineModule({
  name: "last",
  about: "Says when a user was last there.",
  features: [NS],
  implements: [{ xep: 12, version: "1.2" }],
  metrics: {
    lost: counter("Departures of users that could not be kept."),
  },
  setup({ documents, rosters, router, clock, log, counts, isGuest }) {
    const startedMs = clock.monotonicMs();
    async function keep({ jid }: ClientSession, status: string): Promise<void> {
      if (isGuest(jid)) return;
      const left = encoded({ atMs: clock.nowMs(), status });
      try {
        await documents.change(jid.bare, "activity", new Map([[KEY, left]]));
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        counts.lost += 1; // Counted, not told: there may be thousands in a moment.
        log.debug({ err: error }, "cannot keep when a user was last there");
      }
    }
    function announced(envelope: Envelope, sender: ClientSession) {
      const { kind, type, to } = envelope;
      if (kind !== "presence" || to.full !== sender.jid.bare) return PASS;
      if (type === "available") sender.state.set(STATE, true);
      if (type === "unavailable" && sender.state.delete(STATE)) {
        void keep(sender, statusOf(envelope));
      }
      return PASS;
    }
    async function whenThere({ from, to }: Request) {
      if (from.bare !== to.bare && (await rosters.item(to.bare, from.bare))?.from !== true) {
        throw new StanzaError("forbidden"); // Section 3: only who may see the presence.
      }
      if (await router.isAvailable(to.bare)) return answer(0);
      const kept = await documents.get(to.bare, "activity", KEY);
      const left = kept === undefined ? undefined : decoded(kept);
      if (left === undefined) throw new StanzaError("item-not-found");
      return answer(clock.nowMs() - left.atMs, left.status);
    }
    return [
      iq.get("server", NS, "query", () => answer(clock.monotonicMs() - startedMs)),
      iq.get("self", NS, "query", whenThere),
      iq.get("another", NS, "query", whenThere),
      stage("outbound", FIRST, announced),
      carriedFlag(STATE),
      on("ended", (session) => (session.state.delete(STATE) ? keep(session, "") : undefined)),
    ];
  },
});
