/**
 * The shadows of this node's sessions: what each is to know, sent in batches, and what waits for it.
 * The machine that keeps track is shadow/mirror.ts; the other half, on the shadow, is in keeping.ts.
 */

import { crc32 } from "node:zlib";
import type { Clock, Timer } from "../base/clock.ts";
import { pause } from "../base/clock.ts";
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { gatherAtEndOfTurn } from "../base/turn.ts";
import type { Mesh } from "../mesh/contract.ts";
import { FrameKind } from "../mesh/contract.ts";
import type { NodeRecord, Route, Routes } from "../routes/contract.ts";
import { NOTES_LAST_MS } from "../routes/contract.ts";
import type {
  ClientSession,
  MovableSession,
  SessionProgress,
  Shadow,
} from "../session/contract.ts";
import { chooseShadow } from "../shadow/choose.ts";
import type { Encoded, MirrorStats } from "../shadow/mirror.ts";
import { Mirror } from "../shadow/mirror.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { Carried } from "./carried.ts";
import { CHANGES, changeLine, joinChanges } from "./carried.ts";
import { Delivered } from "./delivered.ts";
import type { Endings } from "./ended.ts";
import type { HandOver } from "./hand-over.ts";
import type { Packed } from "./session-wire.ts";
import { encodeWaiting, packSession } from "./session-wire.ts";
import { decodeVerdicts, encodeChange, encodeMirror } from "./shadow-wire.ts";
import { Withheld } from "./withheld.ts";

/** Of stanzas in one item: a large outbox goes in pieces. */
const PIECE_BYTES = 512 * 1024;
const RENOUNCE_PAUSE_MS = 1_000;
/** While the lease cannot be proven, others may take our sessions over: ask them this often. */
const DOUBT_MS = 1_000;
/** Changes of what modules keep, one by one, before all of it is sent. */
const CHANGES_MAX = 256;

export interface ShadowParts {
  readonly mesh: Mesh;
  readonly routes: Routes;
  readonly zone: string;
  readonly handOver: HandOver;
  readonly carried: Carried;
  readonly clock: Clock;
  readonly log: Logger;
  readonly endings: Endings;
  /** See Shadow. */
  readonly leave: () => Promise<void>;
  /** @param shadow the node that has its copy */
  readonly offer: (route: Route, shadow: string | undefined) => Promise<void>;
}

/** How much of a session its shadow has been sent. */
interface Sent {
  progress: SessionProgress;
  acknowledged: number;
  sent: number;
  released: number;
  held: number;
  route: Route;
  /** Fingerprints of what modules keep. */
  carried: ReadonlyMap<string, number>;
}

interface Followed {
  readonly session: MovableSession;
  sent: Sent | undefined;
  /** What modules keep of it may change until the stanza of that place is accepted. */
  stateUntil: number;
  isStateDue: boolean;
  /** Changes of it that the shadow has not been told. */
  changes: Buffer[];
  /** How many it has been told since it was sent all. */
  changesSent: number;
}

export class Shadows implements Shadow {
  readonly #parts: ShadowParts;
  readonly #mirror: Mirror;
  readonly #withheld: Withheld;
  readonly #delivered: Delivered;
  readonly #followed = new Map<string, Followed>();
  #doubtTimer: Timer | undefined;
  #hasLeft = false;

  constructor(parts: ShadowParts) {
    this.#parts = parts;
    const { clock, mesh } = parts;
    this.#mirror = new Mirror({
      choose: (id, isUsable) => this.#choose(id, isUsable),
      encode: (id, isWhole) => this.#encode(id, isWhole),
      async send(node, term, items, isAwaited) {
        const payload = encodeMirror({ term, items, isAwaited });
        return decodeVerdicts(await mesh.request(node, FrameKind.mirror, payload));
      },
      renounce: (node, term) => this.#renounce(node, term),
      notesLastMs: NOTES_LAST_MS,
      schedule: gatherAtEndOfTurn,
      after: (ms, work) => void clock.after(ms, work),
      nowMs: () => clock.monotonicMs(),
      onKept: (id) => this.#onKept(id),
      onStored: (id, until) => this.#onStored(id, until),
    });
    this.#delivered = new Delivered((session) => parts.handOver.passing.of(session));
    this.#withheld = new Withheld(clock, (session) => this.#delivered.late(session));
  }

  get stats(): MirrorStats & { readonly notWithheld: number } {
    return { ...this.#mirror.stats, notWithheld: this.#withheld.givenUp };
  }

  begin(session: MovableSession): void {
    const state = { stateUntil: 0, isStateDue: false, changes: [], changesSent: 0 };
    const followed: Followed = { session, sent: undefined, ...state };
    this.#followed.set(session.id, followed);
    this.#mirror.begin(session.id);
  }

  changed({ id }: ClientSession): void {
    this.#mirror.changed(id);
  }

  acknowledged({ id }: ClientSession): void {
    this.#mirror.changedAside(id);
  }

  progressed({ id }: ClientSession): void {
    this.#mirror.changedLittle(id);
  }

  withholds(session: MovableSession): boolean {
    const mayWait = this.#mirror.isMirrored(session.id) || this.#withheld.isInDoubt(session);
    return mayWait && this.#withheld.mustWait(session);
  }

  holds(session: MovableSession): boolean {
    return this.#withheld.isInDoubt(session);
  }

  settled({ id }: ClientSession): Promise<boolean> | undefined {
    return this.#mirror.settled(id);
  }

  /** Settles when what the session was given counts as delivered; undefined: at once. Never rejects. */
  delivered({ id }: ClientSession): Promise<void> | undefined {
    const settled = this.#mirror.settled(id);
    const session = this.#followed.get(id)?.session;
    if (settled === undefined || session === undefined) return undefined;
    // Without a shadow it is given at once, and etcd may keep us waiting for a word about the last one.
    const isGiven = !this.#mirror.isMirrored(id) || this.#withheld.isLate(session);
    return this.#delivered.wait(session, settled, isGiven);
  }

  isSafe({ id }: ClientSession): boolean {
    return this.#mirror.isSafe(id);
  }

  close({ id }: ClientSession): void {
    this.#mirror.changed(id); // Its shadow must know that.
    this.#mirror.close(id);
  }

  end(session: ClientSession): void {
    const followed = this.#followed.get(session.id);
    if (followed?.session !== session) return;
    this.#followed.delete(session.id);
    this.#withheld.end(followed.session);
    this.#mirror.end(session.id);
  }

  leave(): Promise<void> {
    return this.#parts.leave();
  }

  offer({ id, route }: ClientSession): Promise<void> {
    return this.#parts.offer(route, this.#mirror.shadowOf(id));
  }

  left(): void {
    this.#hasLeft = true;
  }

  /** A stanza of its client, at that place, may change what modules keep of it. */
  stateChanges({ id }: ClientSession, place: number): void {
    const followed = this.#followed.get(id);
    if (followed !== undefined) followed.stateUntil = place;
  }

  /** So much of it has changed: that goes with the next word, before its client has what comes next. */
  stateChanged({ id }: ClientSession, key: string, value: unknown): void {
    const followed = this.#followed.get(id);
    if (followed === undefined || followed.isStateDue) return;
    followed.changes.push(changeLine(key, value));
    followed.isStateDue = followed.changes.length + followed.changesSent >= CHANGES_MAX;
  }

  nodeUp({ incarnation }: NodeRecord): void {
    this.#mirror.nodeUp(incarnation);
  }

  nodeLapsed({ incarnation }: NodeRecord): void {
    this.#mirror.nodeLapsed(incarnation);
  }

  nodeDown({ incarnation }: NodeRecord): void {
    this.#mirror.nodeDown(incarnation);
  }

  /** See Mirror. @throws Unavailable when it is too late to have others made */
  forgottenBy(node: string): void {
    if (this.#hasLeft && this.#followed.size > 0) {
      throw new Unavailable("mesh-failed", "Cannot do without copies: this node has left them");
    }
    this.#mirror.forgottenBy(node);
  }

  /** Until it is regained others may take sessions over, and we must learn it soon. */
  leaseLost(): void {
    this.#mirror.leaseLost();
    this.#doubtAll();
    this.#askLater();
  }

  #doubtAll(): void {
    for (const [id, { session }] of this.#followed) {
      this.#mirror.changed(id); // So that it says something of it now.
      const settled = this.#mirror.settled(id);
      if (settled !== undefined) this.#withheld.doubt(session, settled);
    }
  }

  #askLater(): void {
    const { clock } = this.#parts;
    const dueMs = clock.monotonicMs() + DOUBT_MS;
    this.#doubtTimer?.cancel();
    this.#mirror.touchAll();
    this.#doubtTimer = clock.after(DOUBT_MS, () => {
      // This node has stood still: what shadows said before that is of no use.
      if (clock.monotonicMs() - dueMs > DOUBT_MS) this.#doubtAll();
      this.#askLater();
    });
  }

  leaseRegained(): void {
    this.#mirror.leaseRegained();
    this.#withheld.noDoubt();
    this.#doubtTimer?.cancel();
    this.#doubtTimer = undefined;
  }

  #choose(id: string, isUsable: (node: string) => boolean): string | undefined {
    const { routes, zone } = this.#parts;
    const usable = [...routes.nodes.values()].filter(({ incarnation }) => isUsable(incarnation));
    return chooseShadow(id, zone, usable);
  }

  /** See MirrorParts. */
  async #renounce(node: string, term: number): Promise<boolean> {
    const { routes, clock, log } = this.#parts;
    try {
      await routes.renounce(node, term);
      return true;
    } catch (error) {
      log.warn({ err: error, node }, "cannot make the copies of a shadow void yet");
      await pause(clock, RENOUNCE_PAUSE_MS);
      return false;
    }
  }

  #onKept(id: string): void {
    const session = this.#followed.get(id)?.session;
    if (session === undefined) return;
    this.#parts.log.warn({ session: id }, "a session was taken over by its shadow");
    this.#parts.endings.displaced(session);
  }

  #onStored(id: string, until: number): void {
    const session = this.#followed.get(id)?.session;
    if (session !== undefined) this.#withheld.letOut(session, until);
  }

  #encode(id: string, isWhole: boolean): Encoded | undefined {
    const followed = this.#followed.get(id);
    if (followed === undefined) return undefined;
    const { sent, session } = followed;
    const { progress } = session;
    if (progress === undefined) return isWhole ? undefined : overAfter(sent);
    if (isWhole || sent === undefined) return this.#whole(followed, progress);
    return this.#change(followed, sent, progress);
  }

  #whole(followed: Followed, progress: SessionProgress): Encoded {
    const { handOver, carried: modules } = this.#parts;
    const { session } = followed;
    const { acknowledgedTotal, sentTotal } = progress;
    const { waiting: _all, ...state } = session.snapshot();
    const waiting = this.#stanzas(session, acknowledgedTotal, sentTotal);
    const queue = handOver.heldOf(session);
    const held = this.#heldFrom(session, queue?.left ?? 0);
    const carried = modules.export(session);
    const payload = packSession({
      state,
      waiting,
      held: held.stanzas,
      carried,
      recent: handOver.recentOf(session),
    });
    followed.sent = {
      progress,
      acknowledged: acknowledgedTotal,
      sent: acknowledgedTotal + waiting.length,
      released: queue?.left ?? 0,
      held: held.until,
      route: session.route,
      carried: fingerprints(carried),
    };
    this.#stateSent(followed, progress.received);
    const { sent: until } = followed.sent;
    const isComplete = until === sentTotal && held.isComplete;
    return { payload, isComplete, until, isForClient: true };
  }

  #change(followed: Followed, sent: Sent, progress: SessionProgress): Encoded {
    const { session } = followed;
    const { received, acknowledged, acknowledgedTotal, sentTotal, inherited } = progress;
    // What was acknowledged before it was sent to the shadow is never sent there.
    const first = Math.max(sent.sent, acknowledgedTotal);
    const stanzas = this.#stanzas(session, first, sentTotal);
    const queue = this.#parts.handOver.heldOf(session);
    const left = queue?.left ?? sent.released;
    const held = this.#heldFrom(session, Math.max(sent.held, left));
    const isStateDue = followed.isStateDue || followed.stateUntil > 0;
    const payload = encodeChange({
      received,
      acknowledged,
      inherited,
      gone: Math.min(sent.sent, acknowledgedTotal) - sent.acknowledged,
      sent: stanzas,
      released: Math.min(sent.held, left) - sent.released,
      held: held.stanzas,
      route: session.route === sent.route ? undefined : session.route,
      carried: isStateDue ? this.#newState(followed, sent) : takeChanges(followed),
      isOver: false,
    });
    sent.progress = progress;
    sent.acknowledged = acknowledgedTotal;
    sent.sent = first + stanzas.length;
    sent.released = left;
    sent.held = held.until;
    sent.route = session.route;
    if (isStateDue) this.#stateSent(followed, received);
    const { sent: until } = sent;
    const isComplete = until === sentTotal && held.isComplete;
    const isForClient = stanzas.length > 0 || held.stanzas.length > 0;
    return { payload, isComplete, until, isForClient };
  }

  /** What waits for its client from that place on, as much as fits. */
  #stanzas(session: MovableSession, first: number, end: number): readonly Packed[] {
    const stanzas: Packed[] = [];
    let bytes = 0;
    for (let place = first; place < end && bytes < PIECE_BYTES; place += 1) {
      const stanza = session.sentAt(place) ?? NO_BYTES;
      const packed = this.#pack(session, stanza);
      bytes += packed.bytes.length;
      stanzas.push(packed);
    }
    return stanzas;
  }

  #heldFrom(session: MovableSession, first: number): HeldPart {
    const { left = first, waiting = [] } = this.#parts.handOver.heldOf(session) ?? {};
    const stanzas: Packed[] = [];
    let bytes = 0;
    for (const envelope of waiting.slice(first - left)) {
      if (bytes >= PIECE_BYTES) break;
      const packed = this.#pack(session, envelope ?? NO_BYTES);
      bytes += packed.bytes.length;
      stanzas.push(packed);
    }
    const until = first + stanzas.length;
    return { stanzas, until, isComplete: until === left + waiting.length };
  }

  #pack(session: MovableSession, stanza: Envelope | Buffer): Packed {
    const { handOver } = this.#parts;
    const about = Buffer.isBuffer(stanza) ? undefined : handOver.aboutOf(stanza, session);
    return encodeWaiting({ stanza, about });
  }

  /** What the shadow does not have yet of what modules keep. */
  #newState({ session, changesSent }: Followed, sent: Sent): ReadonlyMap<string, Buffer> {
    const now = this.#parts.carried.export(session);
    const news = new Map<string, Buffer>();
    for (const [key, bytes] of now) {
      if (sent.carried.get(key) !== fingerprint(bytes)) news.set(key, bytes);
    }
    for (const key of sent.carried.keys()) if (!now.has(key)) news.set(key, NO_BYTES);
    sent.carried = fingerprints(now);
    if (changesSent > 0) news.set(CHANGES, NO_BYTES);
    return news;
  }

  #stateSent(followed: Followed, received: number): void {
    followed.isStateDue = false;
    followed.changes = [];
    followed.changesSent = 0;
    // The handlers of a stanza that is not accepted yet may change it once more.
    if (received >= followed.stateUntil) followed.stateUntil = 0;
  }
}

interface HeldPart {
  readonly stanzas: readonly Packed[];
  /** The place of the next. */
  readonly until: number;
  readonly isComplete: boolean;
}

function takeChanges(followed: Followed): ReadonlyMap<string, Buffer> {
  const { changes } = followed;
  if (changes.length === 0) return NOTHING;
  followed.changes = [];
  followed.changesSent += changes.length;
  return new Map([[CHANGES, joinChanges(changes)]]);
}

/** To see whether it has changed, without keeping it. */
const fingerprint = (bytes: Buffer): number => bytes.length * 2 ** 32 + crc32(bytes);
const fingerprints = (carried: ReadonlyMap<string, Buffer>): ReadonlyMap<string, number> =>
  new Map([...carried].map(([key, bytes]) => [key, fingerprint(bytes)]));

/** The last word about a session: it has ended. */
function overAfter(sent: Sent | undefined): Encoded | undefined {
  if (sent === undefined) return undefined;
  const { received, acknowledged, inherited } = sent.progress;
  const nothingNew = { gone: 0, sent: [], released: 0, held: [], route: undefined };
  const payload = encodeChange({
    ...{ received, acknowledged, inherited, ...nothingNew },
    carried: NOTHING,
    isOver: true,
  });
  return { payload, isComplete: true, until: 0, isForClient: false };
}

const NO_BYTES = Buffer.alloc(0);
const NOTHING: ReadonlyMap<string, Buffer> = new Map();
