/**
 * Presence is told once, and a node that is cut off does not hear it. Who may have missed it is
 * remembered, and told again how things are then, until nobody's node leaves it in doubt.
 */
import { newTemplate } from "../../router/envelopes.ts";
import { Jid } from "../../stanza/jid.ts";
import type { ClientSession, Envelope, Host } from "../contract.ts";
import type { PresenceState } from "./state.ts";
import { knownState } from "./state.ts";

const FIRST_PAUSE_MS = 5_000;
const PAUSE_MAX_MS = 30_000;

export interface UntoldLimits {
  /** Pairs of a session and an account. */
  readonly untoldMax: number;
}

export interface UntoldCounts {
  untold: number;
  untoldLost: number;
}

/** Of one address. */
interface Missed {
  /** Accounts that may not know how it is. */
  readonly told: Set<string>;
  /** Accounts that may not have been asked how they are. */
  readonly asked: Set<string>;
}

export class Untold {
  readonly #host: Host;
  readonly #counts: UntoldCounts;
  readonly #limits: UntoldLimits;
  /** By full address. */
  #missed = new Map<string, Missed>();
  #pauseMs = FIRST_PAUSE_MS;
  #isDue = false;

  constructor(host: Host, counts: UntoldCounts, limits: UntoldLimits) {
    this.#host = host;
    this.#counts = counts;
    this.#limits = limits;
  }

  /** Broadcasts presence or a probe. Never rejects. */
  tell(template: Envelope, users: Iterable<string>, exceptSession = ""): Promise<void> | undefined {
    const { from, type } = template;
    const note = (missed: ReadonlySet<string>) => {
      for (const user of missed) this.#note(from.full, user, type === "probe" ? "asked" : "told");
    };
    const missed = this.#host.router.broadcast(template, users, exceptSession);
    if (missed instanceof Promise) return missed.then(note);
    note(missed);
    return undefined;
  }

  /** Answers a probe of that address. Never rejects. */
  async reply(template: Envelope, to: Jid, node: string): Promise<void> {
    if (await this.#host.router.reply(template, to.full, node)) return;
    this.#note(template.from.full, to.bare, "told");
  }

  #note(full: string, user: string, what: keyof Missed): void {
    const missed = this.#missed.get(full) ?? { told: new Set(), asked: new Set() };
    if (missed[what].has(user)) return;
    if (this.#counts.untold >= this.#limits.untoldMax) {
      this.#counts.untoldLost += 1;
      return;
    }
    this.#counts.untold += 1;
    this.#missed.set(full, missed);
    missed[what].add(user);
    if (what === "asked") this.#setAsking(full, true);
    if (this.#isDue) return;
    this.#isDue = true;
    this.#host.clock.after(this.#pauseMs, () => void this.#again());
  }

  #setAsking(full: string, isAsking: boolean): void {
    const session = this.#host.sessions().get(full);
    const state = session && knownState(session);
    if (state !== undefined) state.isAsking = isAsking;
  }

  /** What is in doubt once more is noted once more. Never rejects. */
  async #again(): Promise<void> {
    const all = this.#missed;
    this.#missed = new Map();
    this.#counts.untold = 0;
    await Promise.all([...all].map(([full, missed]) => this.#tellAgain(full, missed)));
    this.#isDue = false;
    const isOver = this.#missed.size === 0;
    this.#pauseMs = isOver ? FIRST_PAUSE_MS : Math.min(PAUSE_MAX_MS, this.#pauseMs * 2);
    if (isOver) return;
    this.#isDue = true;
    this.#host.clock.after(this.#pauseMs, () => void this.#again());
  }

  async #tellAgain(full: string, { told, asked }: Missed): Promise<void> {
    const { router, log } = this.#host;
    // One that stands still may be another node's by now, which has said how it is.
    await this.#host.sessions().get(full)?.moving;
    const session = this.#host.sessions().get(full);
    const state = session && knownState(session);
    if (session !== undefined && state?.last !== undefined) {
      await Promise.all([this.#asItIs(session, state, told), this.#ask(session, asked)]);
      if (!this.#missed.get(full)?.asked.size) this.#setAsking(full, false);
      return;
    }
    if (told.size === 0) return;
    try {
      const jid = Jid.prepared(full);
      // Where it is now they say themselves how it is.
      if ((await router.whereabouts(jid.bare)).has(full)) return;
      await this.tell(gone(jid, router.nowMs()), told);
    } catch (error) {
      log.warn({ err: error }, "cannot tell again that a session is gone yet");
      for (const user of told) this.#note(full, user, "told");
    }
  }

  async #asItIs(session: ClientSession, state: PresenceState, told: Set<string>): Promise<void> {
    const { last, audience } = state;
    const isShown = (user: string) => user === session.jid.bare || audience.has(user);
    const seeing = [...told].filter(isShown);
    const others = [...told].filter((user) => !isShown(user));
    if (last !== undefined && seeing.length > 0) await this.tell(last, seeing, session.id);
    if (others.length > 0) await this.tell(gone(session.jid, this.#host.router.nowMs()), others);
  }

  async #ask(session: ClientSession, asked: Set<string>): Promise<void> {
    if (asked.size === 0) return;
    await this.tell(probeOf(session, this.#host.router.nowMs()), asked, session.id);
  }
}

export const gone = (from: Jid, receivedMs: number): Envelope =>
  newTemplate("presence", { type: "unavailable", from, receivedMs });

export const probeOf = ({ jid: from }: ClientSession, receivedMs: number): Envelope =>
  newTemplate("presence", { type: "probe", from, receivedMs });
