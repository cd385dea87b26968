/**
 * The ways out: to a session of this node, or in a frame to the node that holds it. One stanza for
 * many recipients on one node goes in one frame: what is sent in one turn is gathered.
 */
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Mesh } from "../mesh/contract.ts";
import { FrameKind } from "../mesh/contract.ts";
import type { Route, RouteSet } from "../routes/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import { encodeEnvelope } from "../stanza/wire.ts";
import type { Counters } from "./counters.ts";
import type { Recipient } from "./frames.ts";
import { decodeDeliverAnswer, encodeDeliver, RECIPIENTS_MAX } from "./frames.ts";
import type { Consignment, HandOver } from "./hand-over.ts";
import type { Peers } from "./peers.ts";

export type ExitAnswer =
  | { readonly kind: "delivered" | "gone"; readonly newer: RouteSet | undefined }
  /** No answer came: it may or may not have been handed over. */
  | { readonly kind: "doubt" }
  /** It was not sent: too much is unanswered already. */
  | { readonly kind: "overload" };

/** At once, with nothing else to say. */
export const DELIVERED: ExitAnswer = { kind: "delivered", newer: undefined };
const GONE: ExitAnswer = { kind: "gone", newer: undefined };
const DOUBT: ExitAnswer = { kind: "doubt" };
const OVERLOAD: ExitAnswer = { kind: "overload" };

interface Passenger extends Recipient {
  readonly user: string;
  readonly arrive: (answer: ExitAnswer) => void;
}

interface Departure {
  readonly node: string;
  readonly consignment: Consignment;
  readonly passengers: Passenger[];
}

export interface ExitParts {
  readonly self: string;
  readonly mesh: Mesh | undefined;
  readonly peers: Peers;
  readonly handOver: HandOver;
  readonly counters: Counters;
  readonly log: Logger;
}

export class Exits {
  readonly #parts: ExitParts;
  /** What leaves at the end of this turn, by envelope, in order. */
  #leaving = new Map<Envelope, Departure[]>();

  constructor(parts: ExitParts) {
    this.#parts = parts;
  }

  get self(): string {
    return this.#parts.self;
  }

  isLocal(route: Route): boolean {
    return route.node === this.#parts.self;
  }

  /** It is another node's, which can be asked at once. */
  isReadyAway(route: Route): boolean {
    return !this.isLocal(route) && this.#parts.peers.ready(route.node) === true;
  }

  /** @param revision of the set that named this route, for the exit node to compare. */
  send(consignment: Consignment, route: Route, revision: number): ExitAnswer | Promise<ExitAnswer> {
    const { node, user, resource, session } = route;
    if (this.isLocal(route)) {
      const { handOver, self } = this.#parts;
      const taken = handOver.takeAt(consignment, route, self);
      return taken instanceof Promise ? taken.then(answerOf) : answerOf(taken);
    }
    const full = `${user}/${resource}`;
    const { origin, again } = consignment;
    // What a client sends again may have come to the session that was here before that one.
    const mayBeHad = again && origin !== undefined;
    if (mayBeHad && this.#parts.handOver.hadBefore(origin, full, session)) return DELIVERED;
    return this.#sendTo(node, consignment, { user, full, session, revision });
  }

  #sendTo(
    node: string,
    consignment: Consignment,
    recipient: Recipient & { readonly user: string },
  ): ExitAnswer | Promise<ExitAnswer> {
    const ready = this.#parts.peers.ready(node);
    if (ready instanceof Promise) {
      return ready.then((is) => (is ? this.#board(node, consignment, recipient) : GONE));
    }
    return ready ? this.#board(node, consignment, recipient) : GONE;
  }

  #board(
    node: string,
    consignment: Consignment,
    recipient: Recipient & { readonly user: string },
  ): Promise<ExitAnswer> {
    return new Promise((arrive) => {
      if (this.#leaving.size === 0) queueMicrotask(() => this.#depart());
      const passenger = { ...recipient, arrive };
      const departures = this.#leaving.get(consignment.envelope);
      const departure = departures?.find(
        (one) =>
          one.node === node &&
          one.consignment.again === consignment.again &&
          one.consignment.copy === consignment.copy &&
          one.consignment.follows === consignment.follows &&
          one.passengers.length < RECIPIENTS_MAX,
      );
      if (departure !== undefined) departure.passengers.push(passenger);
      else if (departures !== undefined) {
        departures.push({ node, consignment, passengers: [passenger] });
      } else {
        this.#leaving.set(consignment.envelope, [{ node, consignment, passengers: [passenger] }]);
      }
    });
  }

  #depart(): void {
    const leaving = this.#leaving;
    this.#leaving = new Map();
    for (const [envelope, departures] of leaving) {
      const encoded = encodeEnvelope(envelope);
      for (const departure of departures) void this.#travel(departure, encoded);
    }
  }

  /** Never rejects: every passenger gets an answer. */
  async #travel({ node, consignment, passengers }: Departure, envelope: Buffer): Promise<void> {
    const { origin, stamped, copy, again, rerouted, follows = false, goesOn = false } = consignment;
    const { mesh, counters, log } = this.#parts;
    let answer: ExitAnswer = DOUBT;
    try {
      if (mesh === undefined) throw new Unavailable("mesh-down", "Cannot reach node: no mesh");
      const flags = { stamped, copy, again, rerouted, follows, goesOn };
      const frame = { recipients: passengers, envelope, origin, ...flags };
      counters.framesOut += 1;
      const payload = await mesh.request(node, FrameKind.deliver, encodeDeliver(frame));
      this.#arrive(payload, passengers);
      return;
    } catch (error) {
      if (!(error instanceof Unavailable)) {
        counters.failures += 1;
        log.error({ err: error, node }, "cannot deliver to node");
      } else if (error.code === "mesh-overload") answer = OVERLOAD;
    }
    for (const { arrive } of passengers) arrive(answer);
  }

  #arrive(payload: Buffer, passengers: readonly Passenger[]): void {
    const { delivered, newer } = decodeDeliverAnswer(payload, passengers.length);
    const sets = newer.length === 0 ? undefined : new Map(newer.map((one) => [one.user, one.set]));
    passengers.forEach(({ user, arrive }, index) => {
      arrive({ kind: delivered[index] === true ? "delivered" : "gone", newer: sets?.get(user) });
    });
  }
}

const answerOf = (taken: boolean): ExitAnswer => (taken ? DELIVERED : GONE);
