/**
 * A session of a node that is dead, or was thought to be, goes on at this one: what it was passed over for
 * meanwhile (passed-over.ts) lies at the nodes that it came in at. They are asked once routes lead to it
 * again, and nothing else is given to it before they have answered, so that order holds.
 */
import { LRUCache } from "lru-cache";
import type { Clock } from "../base/clock.ts";
import { withDeadline } from "../base/deadline.ts";
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Mesh } from "../mesh/contract.ts";
import { FrameKind } from "../mesh/contract.ts";
import type { Routes } from "../routes/contract.ts";
import type { ClientSession, Incoming } from "../session/contract.ts";
import { decodeEnvelope, EnvelopeError, encodeEnvelope } from "../stanza/wire.ts";
import { carried } from "./carried.ts";
import type { Deliverer } from "./deliver.ts";
import type { DeliverFrame, MissedQuery } from "./frames.ts";
import { decodeMissed, encodeDeliver, encodeMissed, encodeMissedQuery } from "./frames.ts";
import type { Consignment, HandOver } from "./hand-over.ts";
import type { Shadows } from "./shadows.ts";

/** The session stands still meanwhile. A node that is busy takes more than a second after another's death. */
const ANSWER_MS = 3_000;
const ATTEMPTS_MAX = 2;
/** A node that did not answer keeps no other session waiting for so long: there may be thousands. */
const SILENT_MS = 3_000;
const NODES_MAX = 1_000;
/** Nodes that died one after the other, each before the session had caught up. */
const OWNERS_MAX = 8;

/** The nodes that it was passed over on, as long as it has not been given that: whoever is next asks for all. */
const OWNERS = "catch-up";
export const owners = carried<readonly string[]>(
  OWNERS,
  (nodes) => nodes,
  (nodes: readonly string[]) => nodes,
  () => [],
);

export interface CatchUpParts {
  readonly self: string;
  readonly routes: Pick<Routes, "nodes" | "outdated">;
  /** Undefined for a single node. */
  readonly mesh: Mesh | undefined;
  readonly deliverer: Pick<Deliverer, "missedBy">;
  readonly handOver: HandOver;
  readonly shadows: () => Pick<Shadows, "stateChanged"> | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Missed {
  readonly consignment: Consignment;
  readonly fromNode: string;
}

export class CatchUp {
  readonly #parts: CatchUpParts;
  /** Nodes that did not answer, and until when they are not asked. */
  readonly #silent = new LRUCache<string, number>({ max: NODES_MAX });

  constructor(parts: CatchUpParts) {
    this.#parts = parts;
  }

  /** Another node asks. */
  answer({ route, owner }: MissedQuery): Buffer {
    const { user, resource, session } = route;
    const recipients = [{ full: `${user}/${resource}`, session, revision: 0 }];
    // What comes from now on finds it where it is.
    this.#parts.routes.outdated(user);
    const missed = this.#parts.deliverer.missedBy(route, owner);
    return encodeMissed(
      missed.map(({ envelope, ...consignment }) =>
        encodeDeliver({
          ...{ ...consignment, recipients, envelope: encodeEnvelope(envelope) },
          ...{ follows: false, goesOn: false },
        }),
      ),
    );
  }

  /**
   * The same session, which first of all is given what it was passed over for.
   * @param owner the node that it comes from: its copies name it until it has caught up
   */
  after(incoming: Incoming, owner: string): Incoming {
    return {
      ...incoming,
      install(session) {
        incoming.install(session);
        const { state } = session;
        state.set(OWNERS, [...ownersOf(state), owner].slice(-OWNERS_MAX));
      },
      catchUp: (session) => this.#ask(session),
    };
  }

  /**
   * Asks all nodes. Never rejects: who does not answer has nothing.
   * @returns gives it to the session, which must have begun to take something, and taken nothing yet
   */
  async #ask(session: ClientSession): Promise<() => void> {
    const { routes, self, deliverer, handOver, shadows } = this.#parts;
    const { route, state } = session;
    const dead = ownersOf(state);
    const asked = [...routes.nodes.keys()].flatMap((node) =>
      dead.map((owner) => this.#askOne(node, { route, owner })),
    );
    const theirs = (await Promise.all(asked)).flat();
    return () => {
      const own = dead.flatMap((owner) => deliverer.missedBy(route, owner));
      const all = [...theirs, ...own.map((consignment) => ({ consignment, fromNode: self }))];
      const timeOf = ({ consignment }: Missed) => consignment.envelope.receivedMs;
      for (const { consignment, fromNode } of all.toSorted((a, b) => timeOf(a) - timeOf(b))) {
        void handOver.takeAt(consignment, route, fromNode);
      }
      state.delete(OWNERS);
      shadows()?.stateChanged(session, OWNERS, []);
    };
  }

  async #askOne(node: string, query: MissedQuery): Promise<readonly Missed[]> {
    const { mesh, clock, log } = this.#parts;
    if (mesh === undefined || clock.monotonicMs() < (this.#silent.get(node) ?? 0)) return [];
    this.#silent.delete(node);
    const what = "ask a node what a session missed";
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      try {
        const asked = mesh.request(node, FrameKind.missed, encodeMissedQuery(query));
        const answer = await withDeadline(asked, ANSWER_MS, "mesh-timeout", what, clock);
        return decodeMissed(answer).map((frame) => ({
          consignment: consignmentOf(frame),
          fromNode: node,
        }));
      } catch (error) {
        if (!(error instanceof Unavailable || error instanceof EnvelopeError)) throw error;
        const isSilent = error.code === "mesh-timeout";
        log[isSilent ? "warn" : "debug"](
          { peer: node, session: query.route.session, reason: error.message },
          "a node did not say what a session missed",
        );
        if (isSilent) this.#silent.set(node, clock.monotonicMs() + SILENT_MS);
        // Only a connection may have been an old one. A release that remembers nothing says so.
        if (error.code !== "mesh-down") break;
      }
    }
    return [];
  }
}

const ownersOf = (state: ClientSession["state"]): readonly string[] =>
  (state.get(OWNERS) as readonly string[] | undefined) ?? [];

/** What a frame brought. @throws EnvelopeError */
export function consignmentOf(frame: DeliverFrame): Consignment {
  const { recipients: _, envelope, ...flags } = frame;
  return { ...flags, envelope: decodeEnvelope(envelope), remembered: frame.origin !== undefined };
}
