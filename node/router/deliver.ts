/**
 * Finds the sessions a stanza is for and gets it to them: rules first, then as many rounds as the
 * answers of the exit nodes call for. See docs/architecture.md, "Finding a session".
 */
import { Unavailable } from "../base/errors.ts";
import type { Route, RouteSet, Routes } from "../routes/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { Origin } from "../stanza/origin.ts";
import type { Audience } from "./audience.ts";
import { ADDRESSED, targetsOf } from "./audience.ts";
import type { Counters } from "./counters.ts";
import type { ExitAnswer, Exits } from "./exits.ts";
import { DELIVERED } from "./exits.ts";
import type { Acceptance, Consignment } from "./hand-over.ts";
import type { PassedOver } from "./passed-over.ts";
import { select } from "./rules.ts";

/** How often a node that gives no answer is asked for one recipient. */
const ATTEMPTS_MAX = 3;
/** How often the picture may change (moved, corrected, no answer) before it is given up. */
const ROUNDS_MAX = 8;

export interface Job {
  readonly envelope: Envelope;
  /** The account's bare address. */
  readonly user: string;
  readonly audience: Audience;
  readonly origin: Origin | undefined;
  /** The envelope is a template that is stamped with each recipient's address. */
  readonly stamped: boolean;
  /** Resources that got it are put in here. */
  readonly took?: Set<string> | undefined;
  /** See Consignment. */
  readonly acceptance?: Acceptance | undefined;
  /** What came of it when it was sent behind another: delivered, or in doubt. */
  readonly followed?: Followed | undefined;
  /** Told when it is given up for a resource whose node did not answer, or does not keep up. */
  readonly onMissed?: (() => void) | undefined;
}

export interface Followed {
  readonly route: Route;
  readonly answer: ExitAnswer;
}

/** "overload": it was not sent, because a node does not keep up. */
export type Outcome = "taken" | "nobody" | "overload";

export interface DeliverParts {
  readonly routes: Routes;
  readonly exits: Exits;
  readonly counters: Counters;
  readonly passedOver: PassedOver;
}

export class Deliverer {
  readonly #parts: DeliverParts;

  constructor(parts: DeliverParts) {
    this.#parts = parts;
  }

  /**
   * @param found what was known of the user's routes
   * @param fresh whether `found` was read just now: "nobody" is only believed then
   * @throws Unavailable when routes cannot be read
   */
  deliver(job: Job, found: RouteSet, fresh: boolean): Outcome | Promise<Outcome> {
    const { followed } = job;
    const set = this.#newest(job.user, found);
    if (followed !== undefined) {
      const rounds = new Rounds(job, this.#parts);
      rounds.note(followed.route, followed.answer);
      return rounds.run(set, fresh);
    }
    const targets = targetsOf(job, set.routes);
    const { exits, routes } = this.#parts;
    if (targets.length === 0 && routes.isAlone) return "nobody"; // What it knows is all there is.
    const isAllHere = targets.length > 0 && targets.every((route) => exits.isLocal(route));
    if (!isAllHere || isBehindOwed(job, this.#parts)) {
      return new Rounds(job, this.#parts).run(set, fresh);
    }
    // All on this node, as most are when users share it: no promise is made.
    // Other resources may get it, too, or a copy of it, and pass it on.
    const isSeveral = set.routes.length > 1 || this.isAnyHidden;
    const consignment = consign(job, false, isSeveral, targets);
    const took = tookOf(job);
    // Nearly all is delivered at once, and needs no rounds.
    let rounds = this.isAnyHidden ? new Rounds(job, this.#parts, took) : undefined;
    let waiting: Promise<void>[] | undefined;
    for (const route of targets) {
      const answer = exits.send(consignment, route, set.revision);
      if (answer === DELIVERED && rounds === undefined) {
        took.add(route.resource);
        continue;
      }
      rounds ??= new Rounds(job, this.#parts, took);
      if (answer instanceof Promise) {
        waiting ??= [];
        waiting.push(rounds.noteLate(route, answer));
      } else rounds.note(route, answer);
    }
    if (rounds === undefined && took.size === targets.length) return "taken";
    rounds ??= new Rounds(job, this.#parts, took);
    if (waiting !== undefined) return rounds.runAfter(waiting, set, fresh);
    return rounds.isDone(targets.length) ? "taken" : rounds.run(set, fresh);
  }

  /** Since they were looked up others may have told, as exit nodes do: of whom sessions are here it is exact. */
  #newest(user: string, found: RouteSet): RouteSet {
    const known = this.#parts.routes.known(user);
    return known !== undefined && known.revision > found.revision ? known : found;
  }

  /** Whether there may be sessions on dead nodes that no route leads to. */
  get isAnyHidden(): boolean {
    return this.#parts.passedOver.isLikely;
  }

  /** None of its user's sessions is tried, and those of dead nodes neither. @param routes the others */
  untried(job: Job, routes: readonly Route[]): void {
    passOver(job, tookOf(job), this.#parts, routes);
  }

  /** It has gone back to its sender. @param took of its job */
  returned(took: ReadonlySet<string>): void {
    this.#parts.passedOver.remove(took);
  }

  /**
   * What others of its user's were given, and that session was not, because its node was dead. In order.
   * @param owner that node
   */
  missedBy(route: Route, owner: string): readonly Consignment[] {
    const all = this.#parts.passedOver.of({ ...route, node: owner });
    const missed = all.filter(({ job, took }) => isFor(job, took, route));
    return missed.map(({ job }) => consign({ ...job, acceptance: undefined }, false, true));
  }

  /**
   * To those of the user's sessions that were passed over for it and are there after all. In order.
   * @param silent nodes that did not answer just now; more are put in
   */
  async makeUp(set: RouteSet, silent: Set<string>): Promise<void> {
    const makeUpFor = async (route: Route) => {
      const isGiven = (await giveOwed(route, set, this.#parts, silent)) === undefined;
      if (!isGiven) silent.add(route.node);
    };
    await Promise.all(set.routes.map(makeUpFor));
  }

  /**
   * Sends it to the session that has what its sender sent just before, or will have. "gone" says no more
   * than that it was not given that.
   */
  async follow(job: Job, route: Route, revision: number): Promise<ExitAnswer> {
    const { passedOver } = this.#parts;
    // If its only session is on such a node itself, it has its turn behind those ahead of it.
    const isPassing = this.isAnyHidden && !passedOver.isHiding(route.node);
    if (isPassing) passOver(job, tookOf(job), this.#parts);
    const consignment = { ...consign(job, false, true), follows: true };
    return await this.#parts.exits.send(consignment, route, revision);
  }

  /** The one session that a message goes to, when that is another node's, which can be asked at once. */
  onlyTarget({ kind, type, to }: Envelope, { routes }: RouteSet): Route | undefined {
    if (routes.every((route) => this.#parts.exits.isLocal(route))) return undefined;
    const [target, ...others] = select({ kind, type, resource: to.resource }, routes);
    if (target === undefined || others.length > 0) return undefined;
    const { exits, passedOver } = this.#parts;
    if (passedOver.isOwing(target.user)) return undefined;
    return exits.isReadyAway(target) ? target : undefined;
  }

  /**
   * Whether somebody of the user's has had, on whatever node, what a client sends again: its own node
   * died before it could say so, and whoever had it may have ended since. Who does not answer has not.
   * @param only the node that may know, if not all
   */
  async hadBefore(
    envelope: Envelope,
    user: string,
    origin: Origin,
    only?: string,
  ): Promise<boolean> {
    const { routes, exits } = this.#parts;
    const job = { envelope, user, audience: ADDRESSED, origin, stamped: false };
    const consignment = consign(job, true, true);
    const all = [exits.self, ...routes.nodes.keys()];
    const nodes = only === undefined ? all : all.filter((node) => node === only);
    const { promise: had, resolve } = Promise.withResolvers<boolean>();
    const asked = nodes.map(async (node) => {
      const { kind } = await exits.send(consignment, { ...NOBODY, user, node }, 0);
      if (kind === "delivered") resolve(true); // No other answer matters: a silent node takes long.
    });
    return await Promise.race([had, Promise.all(asked).then(() => false)]);
  }
}

const NOT_SILENT: ReadonlySet<string> = new Set();
const NOBODY = { resource: "", session: "", available: false, priority: 0 };

/** What is known of one stanza's delivery, round after round. */
class Rounds {
  readonly #job: Job;
  readonly #parts: DeliverParts;
  /** Resources that got it. */
  readonly #took: Set<string>;
  /** Routes whose session is gone from its node, or takes no more: it may go on at another. */
  readonly #refused = new Set<string>();
  /** Routes whose node gave no answer, by session, with the attempts so far. */
  readonly #doubtful = new Map<string, { readonly route: Route; readonly attempts: number }>();
  #newer: RouteSet | undefined;
  #isOverloaded = false;
  #mustRead = false;
  /** The set in use was read, not remembered or learnt. */
  #isFresh = false;
  /** Whoever takes a session over from now on asks for it; who did before may be in no set that was read before. */
  readonly #isPassed: boolean;

  constructor(job: Job, parts: DeliverParts, took = tookOf(job)) {
    this.#job = job;
    this.#parts = parts;
    this.#took = took;
    this.#isPassed = parts.passedOver.isLikely && passOver(job, this.#took, parts);
  }

  isDone(targets: number): boolean {
    return this.#took.size === targets && this.#newer === undefined;
  }

  note(route: Route, answer: ExitAnswer): void {
    const attempts = (this.#doubtful.get(route.session)?.attempts ?? 0) + 1;
    this.#doubtful.delete(route.session);
    switch (answer.kind) {
      case "delivered":
        this.#took.add(route.resource);
        break;
      case "gone":
        this.#refuse(route);
        this.#mustRead = true;
        break;
      case "doubt":
        if (attempts < ATTEMPTS_MAX) this.#doubtful.set(route.session, { route, attempts });
        else {
          this.#refuse(route);
          this.#job.onMissed?.();
        }
        this.#mustRead = true;
        return;
      case "overload":
        this.#refused.add(keyOf(route));
        this.#job.onMissed?.();
        this.#isOverloaded = true;
        return;
      default:
        answer satisfies never;
    }
    const { newer } = answer;
    if (newer === undefined) return;
    if (this.#newer === undefined || newer.revision > this.#newer.revision) this.#newer = newer;
  }

  /** The same when the answer is there. */
  async noteLate(route: Route, answer: Promise<ExitAnswer>): Promise<void> {
    this.note(route, await answer);
  }

  async runAfter(answers: readonly Promise<void>[], ...from: Parameters<Rounds["run"]>) {
    await Promise.all(answers);
    return await this.run(...from);
  }

  async run(first: RouteSet, fresh: boolean): Promise<Outcome> {
    this.#isFresh = fresh && !this.#isPassed;
    try {
      await this.#rounds(first);
    } catch (error) {
      const isMessage = this.#job.envelope.kind === "message" && !this.#job.stamped;
      // Routes cannot be read: what cannot be routed is stored.
      if (!isMessage || !(error instanceof Unavailable)) throw error;
    }
    if (this.#took.size > 0) return "taken";
    return this.#isOverloaded ? "overload" : "nobody";
  }

  async #rounds(first: RouteSet): Promise<void> {
    // As a rule it is sent in this turn, and what follows it behind it.
    const isNews = this.#mustRead || this.#newer !== undefined;
    let set = isNews ? await this.#next(first) : first;
    for (let round = 1; round <= ROUNDS_MAX; round += 1) {
      const targets = this.#targets(set);
      if (targets.length > 0) {
        await this.#send(targets, set);
        set = await this.#next(set);
      } else if (this.#took.size === 0 && !this.#isFresh) {
        // Somebody remembered as connected may have become available since.
        set = await this.#read();
      } else break;
    }
    // It has gone on elsewhere, perhaps, and what was read is from before that.
    if (set.routes.some((route) => this.#refused.has(keyOf(route)))) this.#job.onMissed?.();
  }

  /** Before the routes are read again: whoever takes the session over after that asks for it. */
  #refuse(route: Route): void {
    this.#refused.add(keyOf(route));
    passOver(this.#job, this.#took, this.#parts, [route]);
  }

  #targets(set: RouteSet): readonly Route[] {
    // Who refused is not there any more, whatever its route says: the rules must not choose it.
    const there = set.routes.filter((route) => !this.#refused.has(keyOf(route)));
    const isShared = this.#job.audience.kind === "shared";
    // Whoever has it, or may have it, is enough.
    const isEnough = isShared && this.#took.size + this.#doubtful.size > 0;
    const chosen = isEnough ? [] : targetsOf(this.#job, there);
    // A node that gave no answer is asked again even if the route has moved: only it knows. Until it has
    // said so, whoever is at that address now may be one who has it.
    const doubtful = [...this.#doubtful.values()].map(({ route }) => route);
    const isSettled = ({ resource }: Route) =>
      !this.#took.has(resource) && doubtful.every((route) => route.resource !== resource);
    return [...chosen.filter(isSettled), ...doubtful];
  }

  async #send(targets: readonly Route[], set: RouteSet): Promise<void> {
    const once = consign(this.#job, false, true, targets);
    const again = this.#doubtful.size === 0 ? once : consign(this.#job, true, true, targets);
    const { exits } = this.#parts;
    const isBehind = isBehindOwed(this.#job, this.#parts);
    await Promise.all(
      targets.map(async (route) => {
        const isAgain = this.#doubtful.has(route.session);
        const failed = isBehind
          ? await giveOwed(route, set, this.#parts, NOT_SILENT, this.#took)
          : undefined;
        const sent = failed ?? exits.send(isAgain ? again : once, route, set.revision);
        this.note(route, await sent);
      }),
    );
  }

  /** The set to go on with: corrected by an exit node, read again, or the same. */
  async #next(set: RouteSet): Promise<RouteSet> {
    const newer = this.#newer;
    this.#newer = undefined;
    if (newer !== undefined && newer.revision > set.revision) {
      this.#mustRead = false;
      this.#isFresh = false;
      this.#parts.routes.learn(this.#job.user, newer);
      return newer;
    }
    if (!this.#mustRead) return set;
    return await this.#read();
  }

  async #read(): Promise<RouteSet> {
    this.#mustRead = false;
    this.#isFresh = true;
    const { routes, counters, passedOver } = this.#parts;
    counters.routesReread += 1;
    if (passedOver.isLikely) passOver(this.#job, this.#took, this.#parts);
    const { stamped, user } = this.#job;
    // Nodes are not asked for everybody whom a broadcast is for: those are told again.
    return await (stamped ? routes.read(user) : routes.find(user, true));
  }
}

/** One object per stanza and attempt, so that recipients of one turn share a frame. */
function consign(job: Job, again: boolean, several: boolean, targets: readonly Route[] = []) {
  const { envelope, origin, stamped, audience, acceptance } = job;
  const rerouted = isRerouted(job);
  const copy = audience.kind === "copied" ? audience.copy : undefined;
  // The message that a copy was made of may come to the same session by another way.
  // So may what a client sends again, whose node was only thought dead.
  const isRepeatable = several || rerouted || copy === "received" || origin?.isAgain === true;
  const consignment: Consignment = {
    envelope,
    origin,
    stamped,
    again: again || origin?.isAgain === true,
    rerouted,
    goesOn: audience.kind === "moved" && targets[0]?.session === audience.session,
    copy,
    remembered: isRepeatable && origin !== undefined,
    acceptance,
  };
  return consignment;
}

/** It comes from a session that is over. */
const isRerouted = ({ audience: { kind } }: Job): boolean =>
  kind === "elsewhere" || kind === "moved";

const tookOf = ({ took = new Set() }: Job): Set<string> => took;

/** @returns whether it is remembered: it is for all of the user's sessions, or for one alone */
function passOver(
  job: Job,
  took: Set<string>,
  { passedOver }: DeliverParts,
  routes: readonly Route[] = [],
): boolean {
  const { envelope, stamped, audience } = job;
  const isShared = audience.kind === "addressed" || audience.kind === "copied";
  if (!isShared || envelope.kind !== "message" || stamped) return false;
  passedOver.add(job, took, routes);
  return true;
}

/**
 * Whether its user's sessions may have been passed over for what comes before it. What an ended session
 * passes on waits for none of that, since that waits for those that are ending.
 */
const isBehindOwed = (job: Job, { passedOver }: DeliverParts): boolean =>
  job.envelope.kind === "message" &&
  !job.stamped &&
  !isRerouted(job) &&
  passedOver.isOwing(job.user);

/**
 * Gives a session that is there what it was passed over for, in order.
 * @param silent nodes that are not asked
 * @param until what comes before that message, by its `took`
 * @returns the answer because of which it has not been given all of that
 */
async function giveOwed(
  route: Route,
  { routes, revision }: RouteSet,
  { passedOver, exits }: DeliverParts,
  silent: ReadonlySet<string>,
  until?: ReadonlySet<string>,
): Promise<ExitAnswer | undefined> {
  const isAlone = routes.length < 2;
  for (const { job, took } of passedOver.owedTo(route)) {
    if (took === until || silent.has(route.node)) return undefined;
    // The store has what nobody got.
    if ((isAlone && took.size === 0) || !isFor(job, took, route)) continue;
    const consignment = consign({ ...job, acceptance: undefined }, true, true);
    const answer = await exits.send(consignment, route, revision);
    if (answer.kind === "gone") return undefined;
    if (answer.kind !== "delivered") return answer;
    took.add(route.resource);
  }
  return undefined;
}

/** Whether it is for that session, as others of its user got it. */
function isFor(job: Job, took: ReadonlySet<string>, route: Route): boolean {
  const { envelope, audience } = job;
  const isForOther = audience.kind === "addressed" && took.has(envelope.to.resource);
  return !isForOther && !took.has(route.resource) && targetsOf(job, [route]).length > 0;
}

/** A session as it is at one node: it may go on at another. */
const keyOf = ({ session, node }: Route): string => `${session} ${node}`;
