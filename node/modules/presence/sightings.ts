/**
 * Whom sessions of this node were shown. What could not be told in time, because a node died or was
 * cut off, is found by comparing that with the routes.
 */
import { pause } from "../../base/clock.ts";
import { Unavailable } from "../../base/errors.ts";
import { fromElement } from "../../stanza/envelope.ts";
import { Jid } from "../../stanza/jid.ts";
import { CLIENT_NS } from "../../stanza/reply.ts";
import { el } from "../../xml/element.ts";
import type { ClientSession, Envelope, Host, RosterService } from "../contract.ts";
import { CONSUME, PASS, REFUSE } from "../contract.ts";
import type { Announcer } from "./announce.ts";
import { isNews, withoutMark } from "./news.ts";
import { isHere, knownState, setSeen, setSeesMore, stateOf } from "./state.ts";

/** Users whose routes are read, and sessions whose rosters are, at the same time. */
const USERS_AT_ONCE = 500;
const SESSIONS_AT_ONCE = 50;
const RETRY_MS = 1_000;
const ATTEMPTS_MAX = 60;
/** In place of a node: it may be at any. */
const UNSURE = "";

export interface SightingLimits {
  /** Sessions of others that are remembered for each session. */
  readonly seenMax: number;
  /** How long after its node's death a session may go on elsewhere before it is told gone. */
  readonly graceSeconds: number;
}

/** What is to be known of one user's resources. */
interface Question {
  /** Who was shown which of them. */
  readonly seen: Map<string, ClientSession[]>;
  /** Who is to see them all. */
  readonly askers: ClientSession[];
  /** The node that says that a resource is gone: its route there goes after that. */
  readonly saidBy?: string | undefined;
}

/** One user's routes are being read, for so many questions. */
interface Look {
  questions: number;
  /** Which of our sessions have been told meanwhile by which resources how they are. */
  readonly heard: Set<string>;
}

type Questions = Map<string, Question>;

export class Sightings {
  readonly #host: Host;
  readonly #roster: RosterService;
  readonly #announcer: Announcer;
  readonly #limits: SightingLimits;
  /** Users that are looked up at this moment. */
  readonly #looks = new Map<string, Look>();
  /** Sessions from dead nodes, to be looked after together. */
  #unsure = new Set<ClientSession>();

  constructor(
    host: Host,
    { roster, announcer }: { roster: RosterService; announcer: Announcer },
    limits: SightingLimits,
  ) {
    this.#host = host;
    this.#roster = roster;
    this.#announcer = announcer;
    this.#limits = limits;
  }

  /** A session of somebody else is there: whether this client gets to see that. */
  hear(envelope: Envelope, session: ClientSession, fromNode: string) {
    const { from } = envelope;
    // A late word of a node whose sessions were reported gone would make a ghost. If it is back, it says so again.
    if (this.#host.router.isDead(fromNode)) return REFUSE;
    const where = knownState(session)?.seen?.get(from.full);
    this.#looks.get(from.bare)?.heard.add(sightOf(session, from.full));
    if (isNews(envelope)) {
      // What is shown comes here once more, as a word of this node.
      if (where === undefined) this.#host.router.show(session, withoutMark(envelope));
      this.#note(from, session, fromNode);
      return CONSUME;
    }
    // One of two nodes says it late, and nobody knows which.
    const isSure = where === undefined || where === fromNode;
    this.#note(from, session, isSure ? fromNode : UNSURE);
    return PASS;
  }

  /** It has gone. @param isBroadcast its node says so to all who may see it, and not its client to this one */
  hearEnd({ from }: Envelope, session: ClientSession, fromNode: string, isBroadcast: boolean) {
    const { router } = this.#host;
    const state = knownState(session);
    const where = state?.seen?.get(from.full);
    if (where !== undefined && where !== fromNode) {
      // Either the session before the one that was seen has ended, or it went on there unnoticed.
      const seen = new Map([[from.full, [session]]]);
      void this.#correct(from.bare, { seen, askers: [], saidBy: fromNode });
      return CONSUME;
    }
    this.#looks.get(from.bare)?.heard.add(sightOf(session, from.full));
    if (where !== undefined) setSeen(router, session, from.full, undefined);
    // Who was not shown it, or has been told already that it is gone, does not see it go.
    const isKnown = where !== undefined || state?.seesMore === true || router.isAlone;
    return isKnown || !isBroadcast ? PASS : CONSUME;
  }

  #note({ full }: Jid, session: ClientSession, node: string): void {
    const { router } = this.#host;
    // Alone, the node knows of each end itself, and nobody else will ever go on with a session.
    if (router.isAlone) return;
    const { seen } = stateOf(session);
    const hasRoom = (seen?.size ?? 0) < this.#limits.seenMax;
    if (hasRoom || seen?.has(full) === true) setSeen(router, session, full, node);
    else setSeesMore(router, session);
  }

  /**
   * Its sessions go on elsewhere, most of them, and nobody is told of it. The others are over: who
   * was shown them is told, once.
   */
  nodeDown(node: string): void {
    this.#host.clock.after(this.#limits.graceSeconds * 1_000, () => {
      void this.#compareSeen((where) => where === node || where === UNSURE);
    });
  }

  /**
   * This node was cut off, and may have been taken for dead: who went meanwhile is seen to be gone,
   * who is here is shown again, and asks who came. Never rejects.
   */
  async restored(): Promise<void> {
    const sessions = [...this.#host.sessions().all()];
    for (const session of sessions) await this.#announcer.again(session);
    await this.#compareSeen(() => true);
    let left = sessions;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      left = await this.#askAgain(left);
      if (left.length === 0) return;
      await pause(this.#host.clock, RETRY_MS);
    }
    this.#host.log.error({ sessions: left.length }, "cannot see which contacts came meanwhile");
  }

  /** @returns those that could not ask now */
  async #askAgain(sessions: readonly ClientSession[]): Promise<ClientSession[]> {
    const left: ClientSession[] = [];
    for (const session of sessions) {
      try {
        if (isHere(this.#host, session)) await this.#announcer.askAgain(session);
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        left.push(session);
      }
    }
    return left;
  }

  async #compareSeen(isAsked: (node: string) => boolean): Promise<void> {
    const questions: Questions = new Map();
    for (const session of this.#host.sessions().all()) askOfSeen(questions, session, isAsked);
    await this.#answer(questions);
  }

  /** Another node had it. What it was to be told meanwhile may be lost, if that node is dead. */
  takenOver(session: ClientSession, from: string | undefined): void {
    const { router } = this.#host;
    // Who has not missed it learns where it is; who was told that it is gone sees it again.
    void this.#announcer.moved(session);
    const state = knownState(session);
    if (state === undefined) return;
    const isOfDead = (node: string) => node === UNSURE || router.isDead(node);
    if (from === undefined || isOfDead(from)) state.isUnsure = true;
    if (!state.isUnsure && ![...(state.seen?.values() ?? [])].some(isOfDead)) return;
    this.#compareSoon(session);
  }

  /** As soon as its contacts' sessions have had time to go on elsewhere. */
  #compareSoon(session: ClientSession): void {
    this.#unsure.add(session);
    if (this.#unsure.size > 1) return;
    this.#host.clock.after(this.#limits.graceSeconds * 1_000, () => {
      const unsure = this.#unsure;
      this.#unsure = new Set();
      void this.#compareAll(unsure);
    });
  }

  /** Who came and who went while these had no node. Never rejects. */
  async #compareAll(sessions: Iterable<ClientSession>): Promise<void> {
    const all = [...sessions];
    const left: ClientSession[] = [];
    for (let at = 0; at < all.length; at += SESSIONS_AT_ONCE) {
      const some = all.slice(at, at + SESSIONS_AT_ONCE).filter((one) => isHere(this.#host, one));
      const questions: Questions = new Map();
      const asked = await Promise.all(some.map((session) => this.#askOfAll(questions, session)));
      await this.#answer(questions);
      some.forEach((session, place) => {
        if (asked[place] === true) stateOf(session).isUnsure = false;
        else left.push(session);
      });
    }
    if (left.length === 0) return;
    await pause(this.#host.clock, RETRY_MS);
    for (const session of left) this.#compareSoon(session);
  }

  /** @returns false when its contacts cannot be read now */
  async #askOfAll(questions: Questions, session: ClientSession): Promise<boolean> {
    askOfSeen(questions, session, () => true);
    if (knownState(session)?.last === undefined) return true;
    try {
      const { items } = await this.#roster.load(session.jid.bare);
      const users = items.filter(({ to }) => to).map(({ contact }) => contact);
      for (const user of [session.jid.bare, ...users])
        questionOf(questions, user).askers.push(session);
      return true;
    } catch (error) {
      this.#host.log.warn({ err: error }, "cannot look for contacts that came meanwhile");
      return false;
    }
  }

  async #answer(questions: Questions): Promise<void> {
    const all = [...questions];
    for (let at = 0; at < all.length; at += USERS_AT_ONCE) {
      const some = all.slice(at, at + USERS_AT_ONCE);
      await Promise.all(some.map(([user, question]) => this.#correct(user, question)));
    }
  }

  /** Never rejects: who cannot be looked up is left as it is, until routes can be read again. */
  async #correct(user: string, { seen, askers, saidBy }: Question): Promise<void> {
    const look = this.#looks.get(user) ?? { questions: 0, heard: new Set() };
    look.questions += 1;
    this.#looks.set(user, look);
    const there = await this.#whereabouts(user);
    look.questions -= 1;
    if (look.questions === 0) this.#looks.delete(user);
    if (there === undefined) return;
    for (const [full, watchers] of seen) {
      const node = there.get(full) === saidBy ? undefined : there.get(full);
      for (const session of watchers) {
        // It has said itself how it is, and perhaps after the routes were read.
        if (look.heard.has(sightOf(session, full))) continue;
        if (session.moving === undefined) this.#compareOne(session, full, node);
        else void this.#compareLater(session.moving, session, full, saidBy);
      }
    }
    for (const session of askers) {
      // Also whom it was shown: its copy may be older than what its client has heard.
      const others = there.size - (there.has(session.jid.full) ? 1 : 0);
      if (others > 0) void this.#announcer.ask(session, [user]);
    }
  }

  /** It stands still, and takes nothing. Should it stay, nobody else will tell it. Never rejects. */
  async #compareLater(
    moving: Promise<void>,
    session: ClientSession,
    full: string,
    saidBy: string | undefined,
  ): Promise<void> {
    await moving;
    if (!isHere(this.#host, session) || knownState(session)?.seen?.has(full) !== true) return;
    const seen = new Map([[full, [session]]]);
    await this.#correct(Jid.prepared(full).bare, { seen, askers: [], saidBy });
  }

  #compareOne(session: ClientSession, full: string, node: string | undefined): void {
    const { router } = this.#host;
    const seen = knownState(session)?.seen;
    if (seen?.has(full) !== true) return;
    setSeen(router, session, full, node);
    if (node !== undefined) return;
    const attributes = { xmlns: CLIENT_NS, type: "unavailable", from: full, to: session.jid.full };
    router.show(session, fromElement(el("presence", attributes), router.nowMs()));
  }

  async #whereabouts(user: string): Promise<ReadonlyMap<string, string> | undefined> {
    const { router, clock, log } = this.#host;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await router.whereabouts(user);
      } catch (error) {
        if (!(error instanceof Unavailable) || attempt >= ATTEMPTS_MAX) {
          log.error({ err: error }, "cannot see whether a contact is still there");
          return undefined;
        }
      }
      await pause(clock, RETRY_MS);
    }
  }
}

const sightOf = ({ id }: ClientSession, full: string): string => `${id} ${full}`;

function questionOf(questions: Questions, user: string): Question {
  const known = questions.get(user);
  if (known !== undefined) return known;
  const question: Question = { seen: new Map(), askers: [] };
  questions.set(user, question);
  return question;
}

function askOfSeen(
  questions: Questions,
  session: ClientSession,
  isAsked: (node: string) => boolean,
): void {
  for (const [full, node] of knownState(session)?.seen ?? []) {
    if (!isAsked(node)) continue;
    const { seen } = questionOf(questions, Jid.prepared(full).bare);
    const watchers = seen.get(full) ?? [];
    watchers.push(session);
    seen.set(full, watchers);
  }
}
