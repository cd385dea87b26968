/** The sender's side: the decisions on one session's stanzas are made one after another. */
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Routes } from "../routes/contract.ts";
import type { ClientSession } from "../session/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { Origin } from "../stanza/origin.ts";
import type { ParsedStanza } from "../xml/contract.ts";
import type { Acceptance, Peer } from "./accept.ts";
import type { Copies } from "./copies.ts";
import type { Counters } from "./counters.ts";
import type { Line } from "./line.ts";
import type { Shadows } from "./shadows.ts";
import type { Stages, Verdict } from "./stages.ts";
import { CONSUME } from "./stages.ts";

/** Nobody takes a session over, and has what its client sends again, sooner after that was sent here. */
const ELSEWHERE_MS = 1_000;

interface SenderState extends Peer {
  /** Settles when the decision on the last one is made; undefined when all are. Never rejects. */
  tail: Promise<void> | undefined;
}

export interface SenderParts {
  readonly acceptance: Acceptance;
  readonly routes: Pick<Routes, "tenure">;
  readonly stages: Stages;
  readonly line: Line;
  readonly copies: Copies;
  readonly counters: Counters;
  readonly log: Logger;
  /** Undefined for a node alone. */
  readonly shadows: () => Shadows | undefined;
}

export class Senders {
  readonly #parts: SenderParts;
  readonly #states = new WeakMap<ClientSession, SenderState>();

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  /** Takes a client's stanza; resolves when it is accepted. Never rejects. */
  submit(session: ClientSession, parsed: ParsedStanza, count: number): void | Promise<void> {
    const { counters, acceptance, line, routes } = this.#parts;
    counters.stanzasIn += 1;
    const sender = this.#stateOf(session);
    const accepted = acceptance.accept(session, parsed, sender);
    if (accepted === undefined) return;
    if (accepted.kind === "refused") return line.reject(accepted.envelope, accepted.condition);
    const { envelope } = accepted;
    const { id, mayRepeat } = session;
    const tenure = routes.tenure;
    const origin: Origin =
      mayRepeat === true
        ? { session: id, count, tenure, isAgain: true }
        : { session: id, count, tenure };
    if (envelope.kind !== "message") this.#parts.shadows()?.stateChanges(session, count);
    if (sender.tail !== undefined) return this.#inTurn(session, sender, envelope, origin);
    const verdict = this.#outbound(envelope, session, origin);
    return verdict instanceof Promise
      ? this.#inTurn(session, sender, envelope, origin, verdict)
      : this.#afterOutbound(session, envelope, origin, verdict);
  }

  /** Whether another node may have taken the same stanza as well by now. */
  mayBeTwice({ isAgain, tenure }: Origin, receivedMs: number): boolean {
    const { acceptance, routes } = this.#parts;
    if (isAgain === true) return true;
    if (tenure === undefined || acceptance.nowMs() - receivedMs < ELSEWHERE_MS) return false;
    return tenure === "" || tenure !== routes.tenure;
  }

  #stateOf(session: ClientSession): SenderState {
    let state = this.#states.get(session);
    if (state === undefined) {
      state = { tail: undefined, written: "", jid: undefined };
      this.#states.set(session, state);
    }
    return state;
  }

  /** The decision waits for those before it; what follows from it does not hold up the next. */
  #inTurn(
    session: ClientSession,
    sender: SenderState,
    envelope: Envelope,
    origin: Origin,
    started?: Promise<Verdict>,
  ): Promise<void> {
    const before = sender.tail;
    const turn = (async () => {
      if (before !== undefined) await before;
      const verdict = await (started ?? this.#outbound(envelope, session, origin));
      // In an object, so that nobody waits for it here.
      return { accepted: this.#afterOutbound(session, envelope, origin, verdict) };
    })();
    const tail = turn.then(() => {
      if (sender.tail === tail) sender.tail = undefined;
    });
    sender.tail = tail;
    return turn.then(({ accepted }) => accepted);
  }

  #outbound(
    envelope: Envelope,
    session: ClientSession,
    origin: Origin,
  ): Verdict | Promise<Verdict> {
    try {
      const verdict = this.#parts.stages.outbound(envelope, session, origin);
      return verdict instanceof Promise
        ? verdict.catch((error: unknown) => this.#failed(envelope, error))
        : verdict;
    } catch (error) {
      return this.#failed(envelope, error);
    }
  }

  #failed(envelope: Envelope, error: unknown): Verdict {
    const { counters, log, line } = this.#parts;
    counters.failures += 1;
    if (error instanceof Unavailable) {
      log.warn({ err: error }, "cannot handle stanza on its sender's side for now");
      // Presence, too: who wanted to see somebody would believe that they are asked.
      line.reject(envelope, "resource-constraint");
      return CONSUME;
    }
    log.error({ err: error }, "cannot handle stanza on its sender's side");
    return { kind: "bounce", condition: "internal-server-error" };
  }

  #afterOutbound(
    session: ClientSession,
    envelope: Envelope,
    origin: Origin,
    verdict: Verdict,
  ): void | Promise<void> {
    const { line, copies } = this.#parts;
    switch (verdict.kind) {
      case "pass": {
        const { envelope: changed = envelope, own = changed, accepted } = verdict;
        copies.sent(own, session, origin);
        return line.route(changed, { origin, session, accepted });
      }
      case "bounce":
        return line.refuse(envelope, verdict.condition, verdict.application);
      case "consume":
        return line.settled(verdict.accepted);
      default:
        verdict satisfies never;
    }
  }
}
