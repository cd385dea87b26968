/**
 * The four stages of a stanza's line, closed and typed. Modules return handlers as data; a wrong
 * stage or two handlers of one module at the same place fail at boot.
 */
import { ConfigError } from "../base/errors.ts";
import type { ClientSession } from "../session/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { StanzaCondition } from "../stanza/error.ts";
import type { Origin } from "../stanza/origin.ts";
import type { Element } from "../xml/element.ts";

export type Verdict = Pass | Consume | Bounce;

export interface Pass {
  readonly kind: "pass";
  /** The message as it goes on, where it is not the one given. */
  readonly envelope?: Envelope | undefined;
  /** "outbound": the message as the sender's other resources see it, where that is another. */
  readonly own?: Envelope | undefined;
  /** Work begun; the stanza counts as accepted when it is done. */
  readonly accepted?: Promise<void> | undefined;
  /** "inbound": work for when the message was delivered or stored; acceptance waits for it, too. */
  readonly taken?: (() => Promise<void>) | undefined;
}

export interface Consume {
  readonly kind: "consume";
  /** Work that goes on after the decision; the stanza counts as accepted when it is done. */
  readonly accepted?: Promise<void> | undefined;
}

/** "delivery" only. */
export interface Refuse {
  readonly kind: "refuse";
}

export interface Bounce {
  readonly kind: "bounce";
  readonly condition: StanzaCondition;
  /** An application-specific condition (RFC 6120, 8.3.4). */
  readonly application?: Element | undefined;
}

/** The next handler decides. */
export const PASS: Pass = { kind: "pass" };
/** The same, with what the handler has to add. */
export const pass = (additions: Omit<Pass, "kind">): Pass => ({ kind: "pass", ...additions });
/** The handler took care of the stanza: it ends here. */
export const CONSUME: Consume = { kind: "consume" };

export const consume = (accepted: Promise<void> | undefined): Consume => ({
  kind: "consume",
  accepted,
});

/** As if the session were not there: the node that sent it looks for it again, or tells it later. */
export const REFUSE: Refuse = { kind: "refuse" };

/** The sender gets this error. Presence, results and errors are dropped instead. */
export const bounce = (condition: StanzaCondition, application?: Element): Bounce => ({
  kind: "bounce",
  condition,
  application,
});

type Answer = Verdict | Promise<Verdict>;

/** What a handler of each stage is given and may answer. */
export interface StageHandlers {
  /** The sender's side, on the sender's session, in the order of its stanzas. */
  outbound(envelope: Envelope, sender: ClientSession, origin: Origin): Answer;
  /** The recipient's account, once, in order per sender and recipient. */
  inbound(envelope: Envelope, origin: Origin): Answer;
  /** No resource took a message. `origin` is the same whenever this message comes again. */
  unavailable(envelope: Envelope, origin: Origin): Answer;
  /**
   * On the exit node, per session, synchronous: whether `session` gets to see it.
   * @param isBroadcast its sender's node says it to all whom it is for
   */
  delivery(
    envelope: Envelope,
    session: ClientSession,
    fromNode: string,
    isBroadcast: boolean,
  ): Pass | Consume | Refuse;
}

export type StageName = keyof StageHandlers;

const STAGE_NAMES: Readonly<Record<StageName, true>> = {
  outbound: true,
  inbound: true,
  unavailable: true,
  delivery: true,
};

/** Lower runs earlier; handlers of the same place run in the order of the modules' list. */
export const FIRST = 0;
export const EARLY = 250;
export const MIDDLE = 500;
export const LATE = 750;
export const LAST = 1_000;

export interface StageRegistration<Name extends StageName = StageName> {
  readonly kind: "stage";
  readonly stage: Name;
  readonly place: number;
  readonly run: StageHandlers[Name];
}

export const stage = <Name extends StageName>(
  name: Name,
  place: number,
  run: StageHandlers[Name],
): StageRegistration<Name> => ({ kind: "stage", stage: name, place, run });

/** A registration with the module that made it, for messages. */
export interface Owned<T> {
  readonly module: string;
  readonly registration: T;
}

export class Stages {
  readonly #handlers: { [Name in StageName]: readonly StageHandlers[Name][] };

  /** @throws ConfigError for an unknown stage, a bad place, or a module that names one twice. */
  constructor(registrations: readonly Owned<StageRegistration>[]) {
    checkStages(registrations);
    this.#handlers = {
      outbound: inOrder(registrations, "outbound"),
      inbound: inOrder(registrations, "inbound"),
      unavailable: inOrder(registrations, "unavailable"),
      delivery: inOrder(registrations, "delivery"),
    };
  }

  outbound(envelope: Envelope, sender: ClientSession, origin: Origin): Answer {
    return runFrom(this.#handlers.outbound, 0, envelope, PASS, sender, origin);
  }

  inbound(envelope: Envelope, origin: Origin): Answer {
    return runFrom(this.#handlers.inbound, 0, envelope, PASS, origin, undefined);
  }

  unavailable(envelope: Envelope, origin: Origin): Answer {
    return runFrom(this.#handlers.unavailable, 0, envelope, PASS, origin, undefined);
  }

  delivery(
    envelope: Envelope,
    session: ClientSession,
    fromNode: string,
    isBroadcast = false,
  ): Pass | Consume | Refuse {
    for (const run of this.#handlers.delivery) {
      const verdict = run(envelope, session, fromNode, isBroadcast);
      if (verdict.kind !== "pass") return verdict;
    }
    return PASS;
  }
}

/** With whatever else those of a stage are given. */
type Handler<One, Other> = (envelope: Envelope, one: One, other: Other) => Answer;

/** Stays synchronous as long as the handlers do. @param so what those before have added */
function runFrom<One, Other>(
  handlers: readonly Handler<One, Other>[],
  start: number,
  envelope: Envelope,
  so: Pass,
  one: One,
  other: Other,
): Answer {
  let far = so;
  for (let index = start; index < handlers.length; index += 1) {
    const run = handlers[index] as Handler<One, Other>;
    const answer = run(far.envelope ?? envelope, one, other);
    if (answer instanceof Promise) {
      return runAfter(answer, handlers, index + 1, envelope, far, one, other);
    }
    if (answer.kind !== "pass") return answer;
    far = together(far, answer);
  }
  return far;
}

/** Apart from `runFrom`, which would make what this closes over for each handler that answers at once. */
async function runAfter<One, Other>(
  answer: Promise<Verdict>,
  handlers: readonly Handler<One, Other>[],
  next: number,
  envelope: Envelope,
  so: Pass,
  one: One,
  other: Other,
): Promise<Verdict> {
  const verdict = await answer;
  if (verdict.kind !== "pass") return verdict;
  return runFrom(handlers, next, envelope, together(so, verdict), one, other);
}

function together(one: Pass, other: Pass): Pass {
  if (other === PASS) return one;
  if (one === PASS) return other;
  return {
    kind: "pass",
    envelope: other.envelope ?? one.envelope,
    own: other.own ?? one.own,
    accepted: both(one.accepted, other.accepted),
    taken: bothTaken(one.taken, other.taken),
  };
}

/** Settles when both have; rejects with the first failure, after both are done. */
export function both(
  one: Promise<void> | undefined,
  other: Promise<void> | undefined,
): Promise<void> | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Promise.allSettled([one, other]).then((results) => {
    for (const result of results) if (result.status === "rejected") throw result.reason;
  });
}

function bothTaken(one: Pass["taken"], other: Pass["taken"]): Pass["taken"] {
  if (one === undefined || other === undefined) return one ?? other;
  return () => both(one(), other()) as Promise<void>;
}

function inOrder<Name extends StageName>(
  registrations: readonly Owned<StageRegistration>[],
  name: Name,
): readonly StageHandlers[Name][] {
  return registrations
    .filter(({ registration }) => registration.stage === name)
    .toSorted((one, other) => one.registration.place - other.registration.place)
    .map(({ registration }) => registration.run as StageHandlers[Name]);
}

function checkStages(registrations: readonly Owned<StageRegistration>[]): void {
  const seen = new Set<string>();
  for (const { module, registration } of registrations) {
    const { stage: name, place } = registration;
    if (!Object.hasOwn(STAGE_NAMES, name)) {
      throw new ConfigError(`Cannot load module ${module}: there is no stage "${name}"`);
    }
    if (!(place >= FIRST && place <= LAST)) {
      throw new ConfigError(
        `Cannot load module ${module}: place ${place} in "${name}" is no place`,
      );
    }
    const key = `${module} ${name} ${place}`;
    if (seen.has(key)) {
      throw new ConfigError(`Cannot load module ${module}: two handlers at ${place} in "${name}"`);
    }
    seen.add(key);
  }
}
