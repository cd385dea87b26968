/**
 * XEP-0313 Message Archive Management, with XEP-0359, XEP-0334 and XEP-0441: a user's conversations,
 * kept by the node that a message enters, and read page by page.
 */
import { pause } from "../../base/clock.ts";
import { choice, flag, integer } from "../../config/options.ts";
import { StanzaError } from "../../stanza/error.ts";
import type { ClientSession, Envelope, HistoryService, Host, Request } from "../contract.ts";
import {
  boundNote,
  counter,
  defineModule,
  disco,
  gauge,
  iq,
  LAST,
  PASS,
  service,
  stage,
} from "../contract.ts";
import type { AnswerLimits } from "./answers.ts";
import { finElement, metadataOf, readPage, sendResults } from "./answers.ts";
import { Keeper } from "./keeper.ts";
import {
  POLICIES,
  PreferencesOfUsers,
  preferencesElement,
  readPreferences,
} from "./preferences.ts";
import { queryForm, readQuery } from "./query.ts";
import { forget, noteGiven, recentOf } from "./recent.ts";
import { MAM_NS } from "./rules.ts";
import { ownIdOf, SID_NS } from "./stanza-ids.ts";
import { Writer } from "./writer.ts";

const STATE = "archive";
const DAY_SECONDS = 86_400;
const SWEEP_MS = 3_600_000;
const LOOK_AGAIN_MS = 50;
/** Results remembered for a session, so that stored messages are not handed over besides. */
const SHOWN_MAX = 1_000;

/** Ids that a session got as results. */
function shownTo(session: ClientSession): Set<string> {
  const shown = (session.state.get(STATE) as Set<string> | undefined) ?? new Set<string>();
  session.state.set(STATE, shown);
  return shown;
}

function remember(session: ClientSession, ids: readonly string[]): void {
  const shown = shownTo(session);
  for (const id of ids) shown.add(id);
  for (const id of shown) {
    if (shown.size <= SHOWN_MAX) break;
    shown.delete(id);
  }
}

const history: HistoryService = {
  wasShown(session: ClientSession, envelope: Envelope) {
    const shown = session.state.get(STATE) as Set<string> | undefined;
    if (shown === undefined) return false;
    const id = ownIdOf(envelope, session.jid.bare);
    return id !== undefined && shown.has(id);
  },
};

/** Removes what is too old, now and then; never stops. */
function sweepNowAndThen({ archive, clock, log }: Host, keptSeconds: number): void {
  clock.after(SWEEP_MS, () => {
    archive
      .sweep(clock.nowMs() - keptSeconds * 1_000)
      .catch((error: unknown) => log.warn({ err: error }, "cannot remove old messages"))
      .finally(() => sweepNowAndThen({ archive, clock, log } as Host, keptSeconds));
  });
}

interface Counts {
  queries: number;
  results: number;
  putOff: number;
}

/** Answers queries, so many at a time. */
class Answerer {
  readonly #host: Pick<Host, "archive" | "clock" | "isBehind">;
  readonly #limits: AnswerLimits & { readonly queriesMax: number };
  readonly #writer: Writer;
  readonly #counts: Counts;
  #running = 0;

  constructor(
    host: Pick<Host, "archive" | "clock" | "isBehind">,
    limits: AnswerLimits & { readonly queriesMax: number },
    writer: Writer,
    counts: Counts,
  ) {
    this.#host = host;
    this.#limits = limits;
    this.#writer = writer;
    this.#counts = counts;
  }

  query({ payload, session, from }: Request) {
    if (session === undefined) throw new StanzaError("not-allowed");
    const query = readQuery(payload);
    return this.#counted(async () => {
      const isCurrent = await this.#isCurrent(session);
      const nowMs = this.#host.clock.nowMs();
      const page = await readPage(this.#host.archive, from.bare, query, this.#limits, nowMs);
      sendResults(session, page, query, nowMs);
      this.#counts.results += page.messages.length;
      remember(
        session,
        page.messages.map(({ id }) => id),
      );
      return finElement(page, isCurrent && !this.#writer.isBehind);
    });
  }

  /** Waits until all that the session has seen is archived; whether it came to be. */
  async #isCurrent(session: ClientSession): Promise<boolean> {
    const { archive, clock } = this.#host;
    const user = session.jid.bare;
    await this.#writer.settled(user);
    for (let missing = 0; ; ) {
      const ids = recentOf(session, clock.monotonicMs());
      if (ids.length === 0) return missing === 0;
      const there = (await archive.get(user, ids)).map(({ id }) => id);
      forget(session, there);
      missing = ids.length - there.length;
      if (missing === 0) return true;
      await pause(clock, LOOK_AGAIN_MS);
    }
  }

  metadata({ from }: Pick<Request, "from">) {
    const { archive, clock } = this.#host;
    return this.#counted(() => metadataOf(archive, from.bare, this.#limits, clock.nowMs()));
  }

  async #counted<T>(work: () => Promise<T>): Promise<T> {
    if (this.#host.isBehind()) {
      this.#counts.putOff += 1;
      throw new StanzaError("resource-constraint", "The server is busy; try again later");
    }
    if (this.#running >= this.#limits.queriesMax) {
      throw new StanzaError("resource-constraint", "Too many queries at once; try again later");
    }
    this.#counts.queries += 1;
    this.#running += 1;
    try {
      return await work();
    } finally {
      this.#running -= 1;
    }
  }
}

export const archive = defineModule({
  name: "archive",
  about: "Keeps conversations, so that every client can read what it missed.",
  provides: ["history"],
  implements: [
    { xep: 59, version: "1.0" },
    { xep: 313, version: "1.1.1" },
    { xep: 334, version: "0.4.0" },
    { xep: 359, version: "0.7.0" },
    { xep: 441, version: "0.2.0" },
  ],
  metrics: {
    archived: counter("Messages archived."),
    late: gauge("Messages that could not be archived in time and wait for it."),
    lost: counter("Messages that were delivered and never archived."),
    queries: counter("Queries of archives."),
    results: counter("Archived messages handed to clients."),
    putOff: counter("Queries refused for now because the node was behind."),
  },
  options: {
    enabled: flag({ about: "Whether messages are archived at all.", default: true }),
    default: choice(POLICIES, {
      about: "Whose messages are archived for users who have not said so (XEP-0441).",
      default: "always",
    }),
    keptDays: integer({
      about: "How long messages are kept; 0 is for ever. Cassandra keeps those it has as before.",
      default: 365,
      min: 0,
      max: 7_000,
    }),
    resultsMax: integer({
      about: "Messages in one page of an answer.",
      default: 100,
      min: 1,
      max: 1_000,
    }),
    queriesMax: integer({
      about: "Queries answered at a time; further ones are refused for now.",
      default: 64,
      min: 1,
      max: 10_000,
    }),
    waitMs: integer({
      about: "How long a sender waits for the archive before its message is archived late.",
      default: 2_000,
      min: 10,
      max: 60_000,
    }),
    lateBytesMax: integer({
      about: "Bytes of messages that wait to be archived late; further ones are not archived.",
      default: 33_554_432,
      min: 0,
      max: 1_073_741_824,
    }),
  },
  setup({ counts, ...host }, { enabled, default: policy, keptDays, ...limits }) {
    if (!enabled) return [service("history", history)];
    const keptSeconds = keptDays * DAY_SECONDS;
    const preferences = new PreferencesOfUsers(host, policy);
    const writer = new Writer(host, { ...limits, keptSeconds }, counts);
    const keeper = new Keeper(host, writer, preferences);
    const answerer = new Answerer(host, { ...limits, keptSeconds }, writer, counts);
    if (keptSeconds > 0) sweepNowAndThen(host, keptSeconds);
    const readPrefs = async ({ from }: Request) =>
      preferencesElement(await preferences.read(from.bare));
    async function writePrefs({ from, payload }: Request) {
      const wanted = readPreferences(payload);
      await preferences.write(from.bare, wanted);
      return preferencesElement(wanted);
    }
    const refuse = (): never => {
      throw new StanzaError("forbidden");
    };
    return [
      service("history", history),
      disco("account", {
        features: [MAM_NS, `${MAM_NS}#extended`, `${MAM_NS}#groupchat-field`, SID_NS],
      }),
      stage("outbound", LAST, (envelope, sender, origin) =>
        envelope.kind === "message" ? keeper.outbound(envelope, sender, origin) : PASS,
      ),
      stage("delivery", LAST, (envelope, session) => {
        if (envelope.kind === "message") {
          noteGiven(session, envelope, host.clock.monotonicMs() + limits.waitMs);
        }
        return PASS;
      }),
      stage("inbound", LAST, (envelope, origin) =>
        envelope.kind === "message" ? keeper.inbound(envelope, origin) : PASS,
      ),
      // XEP-0386, 4.2: what there is when the resource is bound.
      boundNote(({ jid }) => (host.isGuest(jid) ? undefined : answerer.metadata({ from: jid }))),
      iq.set("self", MAM_NS, "query", (request) => answerer.query(request)),
      iq.get("self", MAM_NS, "query", () => queryForm()),
      iq.get("self", MAM_NS, "metadata", (request) => answerer.metadata(request)),
      iq.get("self", MAM_NS, "prefs", readPrefs),
      iq.set("self", MAM_NS, "prefs", writePrefs),
      iq.set("another", MAM_NS, "query", refuse),
      iq.get("another", MAM_NS, "query", refuse),
      iq.get("another", MAM_NS, "metadata", refuse),
      iq.get("another", MAM_NS, "prefs", refuse),
      iq.set("another", MAM_NS, "prefs", refuse),
    ];
  },
});
