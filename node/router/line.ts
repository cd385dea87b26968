/**
 * The straight line of one stanza after its sender's side: whose is it, what does the recipient's
 * account say, who takes it, and what if nobody does. Everything here runs in the lane of the pair.
 */
import type { Done } from "../base/done.ts";
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { RouteSet, Routes } from "../routes/contract.ts";
import type { SessionTable } from "../session/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { StanzaCondition } from "../stanza/error.ts";
import type { Origin } from "../stanza/origin.ts";
import type { Accounts } from "../stores/contract.ts";
import type { Element } from "../xml/element.ts";
import type { Audience } from "./audience.ts";
import { ADDRESSED } from "./audience.ts";
import { bounceOf, rejectionOf } from "./bounce.ts";
import type { Copies } from "./copies.ts";
import type { Counters } from "./counters.ts";
import type { Deliverer, Job, Outcome } from "./deliver.ts";
import { envelopeOf } from "./envelopes.ts";
import type { Asked, IqTable } from "./iq.ts";
import type { Lanes, Way } from "./lanes.ts";
import type { Departure } from "./passage.ts";
import { followerOf, isFollower, Passage } from "./passage.ts";
import type { Otherwise } from "./rules.ts";
import { noSuchAccount, otherwise } from "./rules.ts";
import type { Pass, Stages, Verdict } from "./stages.ts";
import { both } from "./stages.ts";
import type { Wakes } from "./wakes.ts";

export interface LineParts {
  readonly domains: ReadonlySet<string>;
  /** Domains that external components speak for. */
  readonly components: ReadonlySet<string>;
  readonly accounts: Accounts;
  readonly routes: Routes;
  readonly sessions: () => SessionTable;
  readonly lanes: Lanes;
  readonly stages: Stages;
  readonly iqs: IqTable;
  readonly deliverer: Deliverer;
  readonly copies: Copies;
  readonly wakes: Pick<Wakes, "isWaiting" | "stored">;
  readonly counters: Counters;
  readonly log: Logger;
  /** For stanzas that no client session sent. */
  readonly newOrigin: () => Origin;
}

const NO_ROUTES: RouteSet = { revision: 0, routes: [] };
const NEVER = () => false;

export class Line {
  readonly #parts: LineParts;

  constructor(parts: LineParts) {
    this.#parts = parts;
  }

  /**
   * Takes a stanza to where it belongs. Resolves when it is accepted: answered, handed over,
   * stored, or refused. Never rejects.
   */
  route(envelope: Envelope, departure: Departure = {}): Done {
    const { lanes, counters, newOrigin } = this.#parts;
    const { from, to } = envelope;
    const isFree = lanes.isFree(from.full, to.bare);
    if (!isFree && lanes.isFull(from.full, to.bare)) {
      counters.shed += 1;
      this.refuse(envelope, "resource-constraint");
      return this.settled(departure.accepted);
    }
    const origin = departure.origin ?? newOrigin();
    const passage = new Passage(envelope, origin, departure, this.#mayFollow);
    passage.accepted = this.settled(departure.accepted);
    const done = isFree ? this.#begin(passage) : this.#queue(passage);
    return done === undefined ? passage.accepted : acceptedAfter(done, passage);
  }

  /** Mostly it is done at once, and its lane need not know of it. */
  #begin(passage: Passage): Done {
    const { from, to } = passage.arrived;
    const running = this.#pass(passage, undefined);
    return running && this.#parts.lanes.enter(from.full, to.bare, running, followerOf(passage));
  }

  #queue(passage: Passage): Done {
    const { from, to } = passage.arrived;
    const task = (ahead?: Promise<void>) => this.#pass(passage, ahead);
    return this.#parts.lanes.run(from.full, to.bare, task, followerOf(passage));
  }

  /**
   * Hands a stanza that passed the recipient's side before to somebody else, or to the stage
   * "unavailable". Outside the lanes: the caller keeps the order. Never rejects.
   * @param set the account's routes, read just now
   * @param isLast there will be no other attempt: if it cannot be done the sender is told
   * @returns false when it may be done later
   */
  async passOn(
    envelope: Envelope,
    origin: Origin,
    audience: Audience,
    set: RouteSet,
    isLast: boolean,
  ): Promise<boolean> {
    const passage = new Passage(envelope, origin, {}, NEVER);
    passage.isPassedOn = true;
    try {
      await this.#deliver(passage, set, true, audience);
    } catch (error) {
      if (!isLast && error instanceof Unavailable) return false;
      this.#fail(passage, error);
    }
    await passage.accepted;
    return true;
  }

  /** Answers the sender with an error, if its stanza may be answered. */
  refuse(envelope: Envelope, condition: StanzaCondition, application?: Element): void {
    this.#sendBack(envelope, bounceOf(envelope, condition, application));
  }

  /** The same for a stanza that is wrong in itself, presence included. */
  reject(envelope: Envelope, condition: StanzaCondition): void {
    this.#sendBack(envelope, rejectionOf(envelope, condition));
  }

  #sendBack(answered: Envelope, answer: Envelope | undefined): void {
    if (answer === undefined) return;
    const { counters, copies, newOrigin } = this.#parts;
    counters.bounced += 1;
    if (this.answer(answer)) copies.refused(answer, answered, newOrigin());
  }

  /**
   * Sends an answer of the server's to whoever asked; not awaited, lanes never wait for lanes.
   * Whether it went straight to a session of this node.
   */
  answer(envelope: Envelope): boolean {
    const session = this.#parts.sessions().get(envelope.to.full);
    if (session?.send(envelope.bytes) === true) return true;
    void this.route(envelope);
    return false;
  }

  #pass(passage: Passage, ahead: Promise<void> | undefined): Done {
    try {
      const done = ahead === undefined ? this.#toDomain(passage) : this.#follow(passage, ahead);
      return done?.catch((error: unknown) => this.#fail(passage, error));
    } catch (error) {
      this.#fail(passage, error);
    }
  }

  #toDomain(passage: Passage): Done {
    const { envelope } = passage;
    const { to, from, kind, type } = envelope;
    if (this.#parts.components.has(to.domain)) return this.#toComponent(passage);
    if (!this.#parts.domains.has(to.domain)) {
      // Server-to-server is another door; without it, other domains do not exist.
      return this.refuse(envelope, "remote-server-not-found");
    }
    const isRequest = kind === "iq" && (type === "get" || type === "set");
    if (to.local === "") {
      if (isRequest && to.isBare) return this.#answerIq(passage, "server");
      return this.refuse(envelope, "service-unavailable");
    }
    if (isRequest && to.isBare) {
      if (from.bare !== to.bare) return this.#answerOfAccount(passage);
      return this.#answerIq(passage, "self");
    }
    const found = this.#lookup(to.bare);
    if (found instanceof Promise) return this.#toAccountFound(passage, found);
    return this.#toAccount(passage, found, false);
  }

  // What waits is apart from what mostly need not, which would make what a closure keeps each time.

  async #toAccountFound(passage: Passage, found: Promise<RouteSet>): Promise<void> {
    return this.#toAccount(passage, await found, true);
  }

  async #afterLateInbound(
    passage: Passage,
    set: RouteSet,
    fresh: boolean,
    verdict: Promise<Verdict>,
  ): Promise<void> {
    return this.#afterInbound(passage, set, fresh, await verdict);
  }

  async #afterLateDelivery(
    passage: Passage,
    audience: Audience,
    outcome: Promise<Outcome>,
  ): Promise<void> {
    return this.#afterDelivery(passage, audience, await outcome);
  }

  /** Whether it goes where the one ahead of it in its lane went, which was what its sender sent before. */
  readonly #mayFollow = (passage: Passage, { origin: before, route }: Way): boolean => {
    const { envelope, origin } = passage;
    if (origin.session !== before.session || origin.count !== before.count + 1) return false;
    if (this.#isBehind(envelope)) return false;
    const set = this.#parts.routes.find(envelope.to.bare);
    if (set instanceof Promise) {
      set.catch(() => undefined); // It is looked up once more when it is its turn.
      return false;
    }
    passage.way = this.#wayOf(passage, set);
    return passage.way?.route.session === route.session;
  };

  #wayOf(passage: Passage, set: RouteSet): Way | undefined {
    const { envelope, origin } = passage;
    if (!isFollower(passage)) return undefined;
    const route = this.#parts.deliverer.onlyTarget(envelope, set);
    return route && { route, set, origin };
  }

  /** Behind what is not answered yet. If it was not taken there, it has its turn when that is done. */
  async #follow(passage: Passage, ahead: Promise<void>): Promise<void> {
    const { envelope, origin, way } = passage;
    passage.way = undefined;
    const verdict = this.#parts.stages.inbound(envelope, origin);
    if (way === undefined || verdict instanceof Promise || verdict.kind !== "pass") {
      const [late] = await Promise.all([verdict, ahead]);
      if (late.kind !== "pass") return this.#settle(passage, late);
      this.#passed(passage, late);
    } else {
      this.#passed(passage, verdict);
      passage.way = way;
      const { route, set } = way;
      const job = this.#jobOf(passage, ADDRESSED);
      const answer = await this.#parts.deliverer.follow(job, route, set.revision);
      await ahead;
      if (answer.kind === "delivered" || answer.kind === "doubt") {
        passage.followed = { route, answer };
        return this.#deliver(passage, set, false, ADDRESSED);
      }
    }
    const found = this.#lookup(envelope.to.bare);
    return this.#deliver(passage, await found, found instanceof Promise, ADDRESSED);
  }

  /** To one of the connections that speak for the domain; no account has a say. */
  async #toComponent({ envelope, origin, took, exceptSession }: Passage): Promise<void> {
    const user = envelope.to.domain;
    const audience = { kind: "shared", exceptSession } as const;
    const found = this.#lookup(user);
    const set = await found;
    const job = { envelope, user, audience, origin, stamped: false, took };
    const outcome = await this.#parts.deliverer.deliver(job, set, found instanceof Promise);
    if (outcome === "overload") this.refuse(envelope, "resource-constraint");
    else if (outcome === "nobody") this.refuse(envelope, "remote-server-timeout");
  }

  #lookup(user: string): RouteSet | Promise<RouteSet> {
    const found = this.#parts.routes.find(user);
    if (!(found instanceof Promise)) return found;
    // Routes cannot be read: what cannot be routed is stored.
    return found.catch((error: unknown) => {
      if (error instanceof Unavailable) return NO_ROUTES;
      throw error;
    });
  }

  async #answerOfAccount(passage: Passage): Promise<void> {
    const { envelope } = passage;
    // RFC 6120, 13.11: nobody can tell by the answer whether there is such an account.
    if (!(await this.#exists(envelope.to.bare))) return this.#answerIq(passage, "nobody");
    const verdict = await this.#parts.stages.inbound(envelope, passage.origin);
    if (verdict.kind !== "pass") return this.#settle(passage, verdict);
    return this.#answerIq(passage, "another");
  }

  #answerIq(passage: Passage, asked: Asked): Done {
    const answer = this.#parts.iqs.answer(passage.envelope, asked, passage.session);
    if (answer instanceof Promise) return answer.then((late) => this.#give(passage, late));
    this.#give(passage, answer);
  }

  #give({ envelope, session }: Passage, answer: Buffer | undefined): void {
    if (answer === undefined) return;
    // A session that ended meanwhile needs no answer, nor does another that took its address.
    if (session === undefined) this.answer(envelopeOf(answer, envelope.receivedMs));
    else session.send(answer);
  }

  async #exists(user: string): Promise<boolean> {
    if ((await this.#lookup(user)).routes.length > 0) return true;
    return await this.#parts.accounts.exists(user);
  }

  #toAccount(passage: Passage, set: RouteSet, fresh: boolean): Done {
    if (set.routes.length === 0) return this.#toAbsent(passage, set, fresh);
    const verdict = this.#parts.stages.inbound(passage.envelope, passage.origin);
    if (verdict instanceof Promise) return this.#afterLateInbound(passage, set, fresh, verdict);
    return this.#afterInbound(passage, set, fresh, verdict);
  }

  /** Nobody is connected, so it is not even known whether there is such an account. */
  async #toAbsent(passage: Passage, set: RouteSet, fresh: boolean): Promise<void> {
    const { envelope, origin } = passage;
    if (!(await this.#parts.accounts.exists(envelope.to.bare))) {
      return this.#otherwise(passage, noSuchAccount(about(envelope)));
    }
    const verdict = await this.#parts.stages.inbound(envelope, origin);
    return this.#afterInbound(passage, set, fresh, verdict);
  }

  #afterInbound(passage: Passage, set: RouteSet, fresh: boolean, verdict: Verdict): Done {
    if (verdict.kind !== "pass") return this.#settle(passage, verdict);
    this.#passed(passage, verdict);
    passage.way = this.#wayOf(passage, set);
    return this.#deliver(passage, set, fresh, ADDRESSED);
  }

  #passed(passage: Passage, { envelope, accepted, taken }: Pass): void {
    passage.envelope = envelope ?? passage.envelope;
    passage.accepted = both(passage.accepted, this.settled(accepted));
    passage.taken = taken;
  }

  #jobOf(passage: Passage, audience: Audience): Job {
    const { envelope, origin, took, followed } = passage;
    const user = envelope.to.bare;
    return {
      envelope,
      user,
      audience,
      origin,
      stamped: false,
      took,
      followed,
      acceptance: passage,
    };
  }

  #deliver(passage: Passage, set: RouteSet, fresh: boolean, audience: Audience): Done {
    const isGiven = passage.followed?.answer.kind === "delivered";
    const job = this.#jobOf(passage, audience);
    if (!isGiven && this.#isBehind(passage.envelope)) {
      this.#parts.deliverer.untried(job, set.routes);
      return this.#afterDelivery(passage, audience, "nobody");
    }
    passage.followed = undefined;
    const outcome = this.#parts.deliverer.deliver(job, set, fresh);
    if (outcome instanceof Promise) return this.#afterLateDelivery(passage, audience, outcome);
    return this.#afterDelivery(passage, audience, outcome);
  }

  /** Something was stored for the user, and nobody could be told yet: what may be stored comes after it. */
  #isBehind(envelope: Envelope): boolean {
    if (envelope.kind !== "message" || !this.#parts.wakes.isWaiting(envelope.to.bare)) return false;
    return otherwise(about(envelope)) === "unavailable";
  }

  #afterDelivery(passage: Passage, audience: Audience, outcome: Outcome): Done {
    const { envelope } = passage;
    if (outcome === "taken") return this.#taken(passage);
    if (outcome === "overload") return this.#giveBack(passage, "resource-constraint");
    if (audience.kind === "elsewhere") return this.#nowhereElse(passage);
    return this.#otherwise(passage, otherwise(about(envelope)));
  }

  /** Delivered, or stored: only now is it the account's. */
  #taken(passage: Passage): void {
    const { isPassedOn, taken } = passage;
    if (isPassedOn) return;
    if (taken !== undefined) passage.accepted = both(passage.accepted, this.settled(taken()));
    this.#parts.copies.received(passage);
  }

  /** A message that lost its resource may be stored, whatever resource it was sent to. */
  async #nowhereElse(passage: Passage): Promise<void> {
    const { envelope } = passage;
    const bare = { ...about(envelope), resource: "" };
    // The session may have ended because its account was deleted.
    const isThere = await this.#parts.accounts.exists(envelope.to.bare);
    return this.#otherwise(passage, isThere ? otherwise(bare) : noSuchAccount(bare));
  }

  #otherwise(passage: Passage, what: Otherwise): Done {
    switch (what) {
      case "ignore":
        return;
      case "bounce":
        return this.#giveBack(passage, "service-unavailable");
      case "unavailable":
        return this.#unavailable(passage);
      default:
        what satisfies never;
    }
  }

  async #unavailable(passage: Passage): Promise<void> {
    const { envelope, origin, isPassedOn } = passage;
    const { deliverer, stages, sessions, wakes } = this.#parts;
    const isAgain = origin.isAgain === true && !isPassedOn;
    const mayBeHad = isAgain || passage.followed !== undefined;
    if (mayBeHad && (await deliverer.hadBefore(envelope, envelope.to.bare, origin))) {
      return this.#taken(passage);
    }
    const verdict = await stages.unavailable(envelope, origin);
    if (verdict.kind === "pass") return this.#giveBack(passage, "service-unavailable");
    this.#settle(passage, verdict);
    if (verdict.kind !== "consume") return;
    const sender = sessions().get(envelope.from.full);
    if (sender?.id === origin.session) wakes.stored(sender, envelope.to.bare);
    this.#taken(passage);
  }

  /** It is refused, and for no session of the recipient's any more. */
  #giveBack(passage: Passage, condition: StanzaCondition, application?: Element): void {
    this.#parts.deliverer.returned(passage.took);
    this.refuse(passage.envelope, condition, application);
  }

  #settle(passage: Passage, verdict: Exclude<Verdict, { kind: "pass" }>): void {
    if (verdict.kind === "consume") {
      passage.accepted = both(passage.accepted, this.settled(verdict.accepted));
    } else this.#giveBack(passage, verdict.condition, verdict.application);
  }

  /** What a handler goes on with after its decision: a failure is told to the log, not the door. */
  settled(work: Promise<void> | undefined): Promise<void> | undefined {
    return work?.catch((error: unknown) => {
      this.#parts.counters.failures += 1;
      this.#parts.log.error({ err: error }, "cannot finish handling a stanza");
    });
  }

  #fail(passage: Passage, error: unknown): void {
    const { counters, log } = this.#parts;
    counters.failures += 1;
    const isWeather = error instanceof Unavailable;
    const { kind, type } = passage.envelope;
    const fields = { err: error, kind, type };
    if (isWeather) log.warn(fields, "cannot route stanza");
    else log.error(fields, "cannot route stanza");
    this.#giveBack(passage, isWeather ? "resource-constraint" : "internal-server-error");
  }
}

async function acceptedAfter(done: Promise<void>, passage: Passage): Promise<void> {
  await done;
  return passage.accepted;
}

const about = ({ kind, type, to }: Envelope) => ({ kind, type, resource: to.resource });
