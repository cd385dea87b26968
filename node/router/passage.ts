/** A stanza on the line, with what is known of it so far. */
import type { ClientSession } from "../session/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { Origin } from "../stanza/origin.ts";
import type { Followed } from "./deliver.ts";
import type { Follower, Way } from "./lanes.ts";
import type { Pass } from "./stages.ts";

/** What is known of a stanza before it is on the line. */
export interface Departure {
  readonly origin?: Origin;
  /** The sender's, when it is one of this node's. */
  readonly session?: ClientSession;
  /** Work that its acceptance waits for. */
  readonly accepted?: Promise<void> | undefined;
  /** Of a component's connection that is over and was not sent it. */
  readonly exceptSession?: string;
}

/** One stanza on the line. */
export class Passage implements Follower {
  /** As it came. */
  readonly arrived: Envelope;
  /** As it goes on: the recipient's side may change it. */
  envelope: Envelope;
  readonly origin: Origin;
  readonly session: ClientSession | undefined;
  /** It passed the recipient's side before. */
  isPassedOn = false;
  /** See Departure. */
  readonly exceptSession: string;
  /** Resources that got it. */
  readonly took = new Set<string>();
  /** Work a handler wants awaited before the stanza counts as accepted, outside the lane. */
  accepted: Promise<void> | undefined;
  /** Work for when it is delivered or stored. */
  taken: Pass["taken"];
  /** See Job; until that has been taken into account. */
  followed: Followed | undefined;
  way: Way | undefined;
  readonly #mayFollow: (passage: Passage, way: Way) => boolean;

  constructor(
    envelope: Envelope,
    origin: Origin,
    { session, exceptSession = "" }: Departure,
    mayFollow: (passage: Passage, way: Way) => boolean,
  ) {
    this.arrived = envelope;
    this.envelope = envelope;
    this.origin = origin;
    this.session = session;
    this.exceptSession = exceptSession;
    this.#mayFollow = mayFollow;
  }

  mayFollow(way: Way): boolean {
    return this.#mayFollow(this, way);
  }
}

/** What its client sends again goes by itself. */
export const isFollower = ({ envelope: { kind }, origin }: Passage): boolean =>
  kind === "message" && origin.isAgain !== true;

export const followerOf = (passage: Passage): Follower | undefined =>
  isFollower(passage) ? passage : undefined;
