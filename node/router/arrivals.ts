/** Frames from other nodes. A payload that is not valid changes nothing and is answered nothing. */

import type { Clock } from "../base/clock.ts";
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { FailedLoginReport } from "../guard/failed-logins.ts";
import { FrameKind } from "../mesh/contract.ts";
import type { Route, Routes } from "../routes/contract.ts";
import { EnvelopeError } from "../stanza/wire.ts";
import type { CatchUp } from "./catch-up.ts";
import { consignmentOf } from "./catch-up.ts";
import type { ClusterView } from "./cluster.ts";
import type { Counters } from "./counters.ts";
import type { Errands } from "./errands.ts";
import type { DeliverFrame, UserRoutes } from "./frames.ts";
import {
  decodeConflict,
  decodeDeliver,
  decodeFailedLogins,
  decodeMissedQuery,
  decodeMove,
  decodeOffline,
  decodeOwnRoutesQuery,
  decodeRoutes,
  encodeDeliverAnswer,
  encodeMoveAnswer,
  encodeOwnRoutes,
} from "./frames.ts";
import type { HandOver } from "./hand-over.ts";
import { LateAnswers } from "./late-answers.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { BadFrame } from "./octets.ts";
import { decodeMirror, encodeVerdicts } from "./shadow-wire.ts";
import type { Succession } from "./succession.ts";
import { decodeTask } from "./task-frames.ts";

export interface ArrivalParts {
  readonly routes: Routes;
  readonly handOver: HandOver;
  readonly lifecycle: Lifecycle;
  readonly succession: Succession;
  readonly cluster: Pick<ClusterView, "answer">;
  readonly catchUp: Pick<CatchUp, "answer">;
  readonly counters: Counters;
  readonly clock: Clock;
  readonly errands: Pick<Errands, "sayRefused">;
  readonly log: Logger;
  readonly onFailedLogins: (report: FailedLoginReport) => void;
  /** Closes the session; resolves when it has nothing left to pass on. */
  readonly replace: (route: Route, condition: string) => Promise<void>;
}

const NOTHING = Buffer.alloc(0);

export class Arrivals {
  readonly #parts: ArrivalParts;
  readonly #late: LateAnswers;

  constructor(parts: ArrivalParts) {
    this.#parts = parts;
    this.#late = new LateAnswers(parts.clock);
  }

  /** @throws Unavailable "mesh-bad-frame", "mesh-unknown-kind" */
  handle(from: string, kind: FrameKind, payload: Buffer): Buffer | Promise<Buffer> {
    const { routes, lifecycle, log } = this.#parts;
    try {
      switch (kind) {
        case FrameKind.deliver:
          return this.#deliver(from, decodeDeliver(payload));
        case FrameKind.routes: {
          const { user, set } = decodeRoutes(payload);
          routes.learn(user, set);
          return NOTHING;
        }
        case FrameKind.conflict:
          return this.#close(payload);
        case FrameKind.offline:
          return lifecycle.tell("wake", decodeOffline(payload))?.then(() => NOTHING) ?? NOTHING;
        case FrameKind.mirror:
          return this.#mirror(from, payload);
        case FrameKind.move:
          return this.#parts.succession.moves.give(decodeMove(payload)).then(encodeMoveAnswer);
        case FrameKind.offer:
          return this.#parts.succession.offers.take(decodeMove(payload)).then(encodeMoveAnswer);
        case FrameKind.decided:
          return this.#parts.succession.decided(decodeMove(payload)).then(encodeMoveAnswer);
        case FrameKind.task:
          return this.#parts.cluster.answer(from, decodeTask(payload));
        case FrameKind.ownRoutes:
          return encodeOwnRoutes(routes.own(decodeOwnRoutesQuery(payload)));
        case FrameKind.missed:
          return this.#parts.catchUp.answer(decodeMissedQuery(payload));
        case FrameKind.refused:
          return this.#parts.errands.sayRefused(decodeOwnRoutesQuery(payload));
        case FrameKind.failedLogins:
          this.#parts.onFailedLogins(decodeFailedLogins(payload));
          return NOTHING;
        default:
          kind satisfies never;
          throw new Unavailable(
            "mesh-unknown-kind",
            `Cannot handle frame: kind ${String(kind)} is of a newer version`,
          );
      }
    } catch (error) {
      if (!(error instanceof BadFrame || error instanceof EnvelopeError)) throw error;
      this.#parts.counters.failures += 1;
      log.error({ err: error, node: from }, "cannot read frame of another node");
      throw new Unavailable("mesh-bad-frame", error.message, { cause: error });
    }
  }

  /** Copies of another node's sessions change. */
  async #mirror(from: string, payload: Buffer): Promise<Buffer> {
    const { keeping } = this.#parts.succession;
    if (keeping === undefined) throw new BadFrame("this node keeps no copies");
    const frame = decodeMirror(payload);
    if (frame.term > 0) {
      const answer = encodeVerdicts(await keeping.take(from, frame));
      if (frame.isAwaited) this.#late.goes(from);
      else await this.#late.wait(from);
      return answer;
    }
    this.#parts.succession.shadows?.forgottenBy(from);
    return encodeVerdicts([]);
  }

  #close(payload: Buffer): Promise<Buffer> {
    const { route, condition } = decodeConflict(payload);
    return this.#parts.replace(route, condition).then(() => NOTHING);
  }

  #deliver(from: string, frame: DeliverFrame): Buffer | Promise<Buffer> {
    const { handOver, counters } = this.#parts;
    counters.framesIn += 1;
    const consignment = consignmentOf(frame);
    const taken = frame.recipients.map(({ full, session }) =>
      handOver.take(consignment, full, session, from),
    );
    if (taken.every((one) => typeof one === "boolean")) return this.#answer(frame, taken);
    return Promise.all(taken).then((all) => this.#answer(frame, all));
  }

  #answer({ recipients }: DeliverFrame, delivered: readonly boolean[]): Buffer {
    const newer = new Map<string, UserRoutes>();
    for (const { full, revision } of recipients) {
      const user = full.slice(0, full.indexOf("/"));
      const set = this.#parts.routes.known(user);
      if (set !== undefined && set.revision > revision) newer.set(user, { user, set });
    }
    return encodeDeliverAnswer({ delivered, newer: [...newer.values()] });
  }
}
