/**
 * Copies of messages for the other resources of an account. Which messages, and what a copy looks
 * like, a module says; a copy is made on the exit node. The message itself never waits for them.
 */
import { ConfigError, Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { RouteSet, Routes } from "../routes/contract.ts";
import type { ClientSession } from "../session/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { Origin } from "../stanza/origin.ts";
import type { Counters } from "./counters.ts";
import type { Deliverer } from "./deliver.ts";
import type { Owned } from "./stages.ts";

/** Whose other resources: the sender's, or the recipient's. */
export type CopySide = "sent" | "received";

export interface CopyRules {
  /** Whether the account's other resources get copies. Asked once, on the entry node. */
  isCopied(envelope: Envelope, side: CopySide): boolean;
  /** The copy for one session, on its node; undefined if it wants none. */
  copyFor(envelope: Envelope, session: ClientSession, side: CopySide): Envelope | undefined;
  /** The message that a copy was made of. */
  messageIn(copy: Envelope): Envelope | undefined;
}

export interface CopyRegistration extends CopyRules {
  readonly kind: "copies";
}

export const copies = (rules: CopyRules): CopyRegistration => ({
  kind: "copies",
  ...rules,
});

const NO_COPIES: CopyRules = {
  isCopied: () => false,
  copyFor: () => undefined,
  messageIn: () => undefined,
};

/** The rules that modules registered. @throws ConfigError when two did */
export function copyRules(registrations: readonly Owned<CopyRegistration>[]): CopyRules {
  const [first, second] = registrations;
  if (second !== undefined) {
    throw new ConfigError(`Cannot load module ${second.module}: another one makes copies already`);
  }
  return first?.registration ?? NO_COPIES;
}

export interface CopyParts {
  readonly rules: CopyRules;
  readonly routes: Routes;
  readonly deliverer: Deliverer;
  readonly counters: Counters;
  readonly log: Logger;
}

/** A message that its recipient's account took. */
export interface Received {
  /** As it came, which decides whether it is copied. */
  readonly arrived: Envelope;
  readonly envelope: Envelope;
  readonly origin: Origin;
  /** The session that sent it, where that is one of this node's. */
  readonly session: ClientSession | undefined;
  /** Resources that got it. */
  readonly took: ReadonlySet<string>;
}

/** Who may get a copy. */
interface Others {
  readonly set: RouteSet;
  /** It is what is known in this turn: whoever takes a session over asks later for what it was passed over for. */
  readonly isNow: boolean;
  /** Resources that got the message itself. */
  readonly took: ReadonlySet<string>;
  readonly exceptSession: string;
}

const NOBODY: ReadonlySet<string> = new Set();

export class Copies {
  readonly #parts: CopyParts;

  constructor(parts: CopyParts) {
    this.#parts = parts;
  }

  /** To the sender's other resources. What a user writes to itself reaches them anyway. */
  sent(envelope: Envelope, sender: ClientSession, origin: Origin): void {
    const { from, to } = envelope;
    if (from.bare === to.bare || !this.#isCopied(envelope, "sent")) return;
    // A node knows exactly the routes of the users whose sessions it holds.
    const set = this.#parts.routes.known(from.bare);
    if (set === undefined) return;
    const others = { set, isNow: true, took: NOBODY, exceptSession: sender.id };
    this.#send("sent", envelope, origin, others);
  }

  /** To those of the recipient's resources that did not get the message itself. */
  received({ arrived, envelope, origin, session, took }: Received): void {
    if (!this.#isCopied(arrived, "received")) return;
    const exceptSession = session?.id ?? "";
    const found = this.#parts.routes.lookup(envelope.to.bare);
    if (found instanceof Promise) void this.#sendLate(envelope, origin, found, took, exceptSession);
    else this.#send("received", envelope, origin, { set: found, isNow: true, took, exceptSession });
  }

  async #sendLate(
    envelope: Envelope,
    origin: Origin,
    found: Promise<RouteSet>,
    took: ReadonlySet<string>,
    exceptSession: string,
  ): Promise<void> {
    try {
      const others = { set: await found, isNow: false, took, exceptSession };
      this.#send("received", envelope, origin, others);
    } catch (error) {
      this.#failed(error);
    }
  }

  /**
   * An error that this server answered a message with: whoever got copies of the message gets one
   * of the error (XEP-0280, section 6).
   * @param answered the message
   */
  refused(answer: Envelope, answered: Envelope, origin: Origin): void {
    if (answered.kind !== "message" || !this.#parts.rules.isCopied(answered, "sent")) return;
    const set = this.#parts.routes.known(answer.to.bare);
    if (set === undefined) return;
    const took = new Set([answer.to.resource]);
    this.#send("received", answer, origin, { set, isNow: true, took, exceptSession: "" });
  }

  #isCopied(envelope: Envelope, side: CopySide): boolean {
    return envelope.kind === "message" && this.#parts.rules.isCopied(envelope, side);
  }

  #send(
    copy: CopySide,
    envelope: Envelope,
    origin: Origin,
    { set, isNow, took, exceptSession }: Others,
  ): void {
    const user = copy === "sent" ? envelope.from.bare : envelope.to.bare;
    const isLeft = set.routes.some(
      ({ resource, session }) => !took.has(resource) && session !== exceptSession,
    );
    const { deliverer } = this.#parts;
    if (!isLeft && !deliverer.isAnyHidden) return;
    const audience = { kind: "copied", copy, took, exceptSession } as const;
    const job = { envelope, user, audience, origin, stamped: false };
    if (!isLeft && isNow) {
      deliverer.untried(job, []);
      return;
    }
    try {
      const outcome = deliverer.deliver(job, set, true);
      if (outcome instanceof Promise) outcome.catch((error: unknown) => this.#failed(error));
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    const { counters, log } = this.#parts;
    if (error instanceof Unavailable) {
      counters.copiesFailed += 1; // While etcd is away each message may be one.
      log.debug({ err: error }, "cannot copy a message to other resources");
      return;
    }
    counters.failures += 1;
    log.error({ err: error }, "cannot copy a message to other resources");
  }
}
