/**
 * Sessions on their way from one node to another, because their clients resume them there. The node
 * that has a session freezes it and gives it away whole; the other takes its route over, and only
 * then it is that node's. Who gave it away learns that from the routes; if nothing is learnt in time,
 * it writes the route itself, after which nobody can take over what was given away before.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Mesh } from "../mesh/contract.ts";
import { FrameKind } from "../mesh/contract.ts";
import type { Route, Routes } from "../routes/contract.ts";
import { movedTo } from "../routes/contract.ts";
import type {
  ClientSession,
  Incoming,
  MovableSession,
  SessionState,
  SessionTable,
} from "../session/contract.ts";
import { isMovable, sessionAt } from "../session/contract.ts";
import { EnvelopeError } from "../stanza/wire.ts";
import type { Carried } from "./carried.ts";
import type { CatchUp } from "./catch-up.ts";
import type { Endings } from "./ended.ts";
import type { MoveAnswer, MoveFrame } from "./frames.ts";
import { decodeMoveAnswer, encodeMove } from "./frames.ts";
import type { HandOver } from "./hand-over.ts";
import { incomingOf } from "./incoming.ts";
import type { KeptAnswer, Sought } from "./keeping.ts";
import { BadFrame } from "./octets.ts";
import type { PassedOver } from "./passed-over.ts";
import type { Peers } from "./peers.ts";
import type { Waiting } from "./session-wire.ts";
import { decodeSession, encodeSession } from "./session-wire.ts";

/** How long a session stands still for the node that asked for it. */
const GIVEN_MS = 12_000;
const RETRY_MS = 1_000;
/** Of one record in one frame. */
const PART_BYTES = 4 * 1024 * 1024;
/** More than an outbox and what waits behind it may hold. */
const RECORD_BYTES_MAX = 512 * 1024 * 1024;

interface Given {
  readonly session: MovableSession;
  readonly record: Buffer;
  timer: Timer;
}

export interface MoveParts {
  readonly routes: Routes;
  readonly mesh: Mesh | undefined;
  readonly peers: Peers;
  readonly sessions: () => SessionTable;
  readonly handOver: HandOver;
  readonly carried: Carried;
  /** Whether this node keeps that session of another. */
  readonly isKept: (sessionId: string) => KeptAnswer;
  readonly clock: Clock;
  readonly log: Logger;
  /** It came from another node; its modules may go on with it. */
  readonly onTakenOver: (session: ClientSession, from: string | undefined) => void;
  readonly endings: Endings;
  readonly passedOver: Pick<PassedOver, "ownerOf">;
  readonly catchUp: Pick<CatchUp, "after">;
}

export class Moves {
  readonly #parts: MoveParts;
  /** By session id. */
  readonly #given = new Map<string, Given>();

  constructor(parts: MoveParts) {
    this.#parts = parts;
  }

  /** Sessions given away of which it is not known yet whose they are. */
  get size(): number {
    return this.#given.size;
  }

  /**
   * Whether another node has taken that session of ours. When nobody has its address any more, only who was
   * given it can have taken the route away, and has died since: its shadow goes on.
   * @param holder who has its address now
   */
  isTaken({ session }: Route, holder: Route | undefined): boolean {
    return holder === undefined ? this.#given.has(session) : holder.session === session;
  }

  /** Asks for a session that another node has. "away": that node does not answer. */
  async fetch(route: Route): Promise<Incoming | "gone" | "later" | "away"> {
    const { mesh, peers, passedOver, catchUp, log } = this.#parts;
    if (mesh === undefined || !(await peers.ready(route.node))) return "gone";
    try {
      const record = await this.#read(mesh, route);
      if (!Buffer.isBuffer(record)) return record;
      const incoming = incomingOf(decodeSession(record), this.#parts);
      const owner = passedOver.ownerOf(route.node);
      return owner === undefined ? incoming : catchUp.after(incoming, owner);
    } catch (error) {
      const isPeers = error instanceof Unavailable || error instanceof EnvelopeError;
      if (!isPeers) throw error;
      log.warn({ err: error, node: route.node }, "cannot fetch a session");
      return "away";
    }
  }

  /**
   * Whether that node has this session, or a copy of it. Never rejects.
   * @param isPatient the answer may take a while, until it is decided who goes on with it
   */
  async isAt(node: string, sought: Sought, isPatient = false): Promise<KeptAnswer> {
    const { mesh, peers, log } = this.#parts;
    if (mesh === undefined || !(await peers.ready(node))) return "gone";
    const route = { ...sought, available: false, priority: 0 };
    const payload = encodeMove({ route, offset: 0 });
    try {
      const question = isPatient ? FrameKind.decided : FrameKind.move;
      const { kind } = decodeMoveAnswer(await mesh.request(node, question, payload));
      return kind === "gone" || kind === "perhaps" ? kind : "kept";
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      log.warn({ err: error, node }, "cannot ask for a session");
      return isPatient ? "gone" : "perhaps"; // Nothing was waited for.
    }
  }

  async #read(mesh: Mesh, route: Route): Promise<Buffer | "gone" | "later"> {
    const parts: Buffer[] = [];
    let offset = 0;
    for (;;) {
      const payload = encodeMove({ route, offset });
      const answer = decodeMoveAnswer(await mesh.request(route.node, FrameKind.move, payload));
      if (answer.kind === "gone") return "gone";
      if (answer.kind !== "part") return "later";
      const { total, bytes } = answer;
      offset += bytes.length;
      if (total > RECORD_BYTES_MAX || bytes.length === 0 || offset > total) {
        throw new BadFrame("its lengths do not add up");
      }
      parts.push(bytes);
      if (offset === total) return Buffer.concat(parts);
    }
  }

  /** Another node asks. */
  async give({ route, offset }: MoveFrame): Promise<MoveAnswer> {
    const known = this.#given.get(route.session);
    if (offset > 0) return known === undefined ? { kind: "later" } : part(known.record, offset);
    const session = sessionAt(this.#parts.sessions(), route);
    if (session === undefined || !isMovable(session)) {
      return { kind: this.#parts.isKept(route.session) };
    }
    // It stands still already, for this node or for another: the routes decide who gets it.
    if (known !== undefined) return part(known.record, 0);
    const state = await session.freeze();
    if (state === undefined) return { kind: "later" };
    const record = this.#encode(session, state);
    const timer = this.#parts.clock.after(GIVEN_MS, () => void this.#reclaim(session));
    this.#given.set(session.id, { session, record, timer });
    return part(record, 0);
  }

  #encode(session: MovableSession, { waiting, ...state }: SessionState): Buffer {
    const { handOver, carried } = this.#parts;
    const describe = (stanza: Waiting["stanza"]): Waiting => ({
      stanza,
      about: Buffer.isBuffer(stanza) ? undefined : handOver.aboutOf(stanza, session),
    });
    const held = handOver.heldOf(session)?.waiting ?? [];
    return encodeSession({
      state,
      waiting: waiting.map(describe),
      held: held.filter((envelope) => envelope !== undefined).map(describe),
      carried: carried.export(session),
      recent: handOver.recentOf(session),
    });
  }

  /** Nothing was learnt in time: from now on it is ours, or it was taken over before. */
  async #reclaim(session: MovableSession): Promise<void> {
    const { routes, clock, log } = this.#parts;
    const given = this.#given.get(session.id);
    if (given?.session !== session) return;
    try {
      // What was given away before is older than this.
      const route = movedTo(session.route.node, session.route);
      await routes.renew(route);
      session.route = route;
      this.#given.delete(session.id);
      session.thaw();
    } catch (error) {
      if (error instanceof Unavailable && error.code === "routes-lost") {
        this.takenOver(session);
        return;
      }
      log.warn({ err: error, session: session.id }, "cannot learn whose a session is");
      given.timer = clock.after(RETRY_MS, () => void this.#reclaim(session));
    }
  }

  /** The routes say that another node has it now. */
  takenOver(session: MovableSession): void {
    const given = this.#given.get(session.id);
    given?.timer.cancel();
    this.#given.delete(session.id);
    const isGiven = given !== undefined;
    this.#parts.log.debug({ session: session.id, isGiven }, "a session goes on at another node");
    if (!isGiven) {
      this.#parts.endings.displaced(session);
      return;
    }
    this.#parts.handOver.forget(session, session.forget());
  }

  /** It has ended here. */
  ended({ id }: ClientSession): void {
    this.#given.get(id)?.timer.cancel();
    this.#given.delete(id);
  }
}

const part = (record: Buffer, offset: number): MoveAnswer => ({
  kind: "part",
  total: record.length,
  bytes: record.subarray(offset, offset + PART_BYTES),
});
