/**
 * A node with sessions. What is to be known of one is how many changes it had; whole and change are
 * sent in pieces, as a large outbox is.
 */
import { chooseShadow } from "../choose.ts";
import type { Encoded, MirrorItem, Verdict } from "../mirror.ts";
import { Mirror } from "../mirror.ts";

/** A copy, and a piece of one. */
export interface Piece {
  readonly from: number;
  readonly to: number;
  /** Where it stood when its whole began: before that it is only a part. */
  readonly due: number;
}

export const decode = (payload: Buffer): Piece => JSON.parse(payload.toString("utf8")) as Piece;

const PIECE = 3;
/** Older changes are not told any more. */
const BEHIND = 8;

export interface Session {
  readonly id: string;
  version: number;
  /** What its shadow has been sent. */
  sent: number;
  due: number;
  /** What was promised to be with its shadow. */
  promised: number;
  isOver: boolean;
  /** Who was told to wait for its shadow. */
  waiting: number;
}

export interface Renunciation {
  readonly keeper: string;
  readonly term: number;
  isNoted: boolean;
  resolve(isNoted: boolean): void;
}

export interface OwnerParts {
  readonly name: string;
  readonly zoneOf: (keeper: string) => string;
  send(keeper: string, term: number, items: readonly MirrorItem[]): Promise<readonly Verdict[]>;
  after(ms: number, work: () => void): void;
  nowMs(): number;
  onRenounce(one: Renunciation): void;
  onPromise(session: Session, version: number): void;
  onBroken(why: string): void;
}

export class Owner {
  readonly name: string;
  readonly mirror: Mirror;
  readonly sessions = new Map<string, Session>();
  /** The keepers that this node has seen come and not go. */
  readonly view = new Set<string>();
  readonly events: { readonly kind: "up" | "lapsed" | "down"; readonly keeper: string }[] = [];
  readonly renunciations: Renunciation[] = [];
  readonly turns: (() => void)[] = [];
  #hasLease = true;
  readonly #parts: OwnerParts;
  #count = 0;

  constructor(parts: OwnerParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.mirror = new Mirror({
      choose: (id, isUsable) => this.#choose(id, isUsable),
      encode: (id, isWhole) => this.#encode(id, isWhole),
      send: (keeper, term, items) => parts.send(keeper, term, items),
      renounce: (keeper, term) =>
        new Promise((resolve) => {
          const renunciation = { keeper, term, isNoted: false, resolve };
          this.renunciations.push(renunciation);
          parts.onRenounce(renunciation);
        }),
      notesLastMs: Number.POSITIVE_INFINITY,
      schedule: (work) => void this.turns.push(work),
      after: (ms, work) => parts.after(ms, work),
      nowMs: () => parts.nowMs(),
      onKept: (id) => parts.onBroken(`${id} is said to be kept by another`),
      onStored: (id, until) => this.#onStored(id, until),
    });
  }

  get hasLease(): boolean {
    return this.#hasLease;
  }

  set hasLease(is: boolean) {
    if (is && !this.#hasLease) this.mirror.leaseRegained();
    if (!is) this.mirror.leaseLost();
    this.#hasLease = is;
  }

  get live(): readonly Session[] {
    return [...this.sessions.values()].filter(({ isOver }) => !isOver);
  }

  begin(): void {
    this.#count += 1;
    const id = `${this.name}-s${this.#count}`;
    const counts = { version: 1, sent: 0, due: 0, promised: 0, waiting: 0 };
    this.sessions.set(id, { id, ...counts, isOver: false });
    this.mirror.begin(id);
  }

  /** @param isLittle nobody waits for it */
  change(session: Session, by: number, isLittle: boolean): void {
    session.version += by;
    if (isLittle) this.mirror.changedLittle(session.id);
    else this.mirror.changed(session.id);
  }

  ask(session: Session): void {
    const { version } = session;
    const settled = this.mirror.settled(session.id);
    if (settled === undefined) {
      this.#promise(session, version);
      return;
    }
    session.waiting += 1;
    void settled.then((isStored) => {
      session.waiting -= 1;
      if (isStored) this.#promise(session, version);
      else if (!session.isOver) this.#parts.onBroken(`${session.id} is said to be over`);
    });
  }

  end(session: Session): void {
    session.isOver = true;
    this.mirror.end(session.id);
  }

  #promise(session: Session, version: number): void {
    if (session.isOver) return;
    session.promised = Math.max(session.promised, version);
    this.#parts.onPromise(session, version);
  }

  #choose(id: string, isUsable: (node: string) => boolean): string | undefined {
    const usable = [...this.view].filter(isUsable);
    const candidates = usable.map((name) => ({
      incarnation: name,
      zone: this.#parts.zoneOf(name),
    }));
    return chooseShadow(id, "here", candidates);
  }

  #encode(id: string, isWhole: boolean): Encoded | undefined {
    const session = this.sessions.get(id);
    if (session === undefined || session.isOver) return undefined;
    const { version } = session;
    if (isWhole) session.due = version;
    const from = isWhole ? Math.max(0, version - BEHIND) : session.sent;
    session.sent = Math.min(version, from + PIECE);
    const piece: Piece = { from, to: session.sent, due: session.due };
    const payload = Buffer.from(JSON.stringify(piece));
    return {
      payload,
      isComplete: session.sent === version,
      until: session.sent,
      isForClient: false,
    };
  }

  /** Its client is given as much, and tells that it has it. */
  #onStored(id: string, until: number): void {
    const session = this.sessions.get(id);
    if (session !== undefined) this.#promise(session, Math.min(until, session.version));
  }
}
