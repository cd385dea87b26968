/**
 * The owner's half of mirroring: which of this node's sessions have a copy on which other node, and
 * how far it goes. A pure machine: sessions, frames and time are handed in. Whatever goes wrong, a
 * lost frame, a shadow that forgot or died, the session is sent whole again.
 *
 * A shadow that does not answer may be alive, with copies that grow old. Before anything counts as
 * stored elsewhere, its copies are renounced: noted as void where it must look before it uses them.
 * The note names a term; what is sent to that node later is of the next one.
 */
import { Waiters } from "../base/waiters.ts";

export type MirrorKind = "whole" | "change" | "drop";

export interface MirrorItem {
  readonly kind: MirrorKind;
  readonly id: string;
  /** Grows by one with each item of a session: a change fits only behind the item before it. */
  readonly sequence: number;
  readonly payload: Buffer;
}

/** "unknown": it must be sent whole; "kept": that node has taken the session over. */
export type Verdict = "stored" | "unknown" | "kept";

export interface Encoded {
  readonly payload: Buffer;
  /** There is no more to be sent; otherwise the rest goes with the next change. */
  readonly isComplete: boolean;
  /** How many stanzas for its client there were when nothing more was to be sent. */
  readonly until: number;
  /** There is something for its client in it, who waits for the answer. */
  readonly isForClient: boolean;
}

export interface MirrorParts {
  /** The shadow for a session: the same for the same nodes. Undefined when there is none. */
  choose(id: string, isUsable: (node: string) => boolean): string | undefined;
  /** What to send; undefined when there is nothing to be told of the session any more. */
  encode(id: string, isWhole: boolean): Encoded | undefined;
  /**
   * Items to one node arrive in the order of the calls. Rejects when they may not have. No items: it
   * only says whether it would take some.
   * @param isAwaited somebody waits for the answer; otherwise it may come with a later one
   */
  send(
    node: string,
    term: number,
    items: readonly MirrorItem[],
    isAwaited: boolean,
  ): Promise<readonly Verdict[]>;
  /**
   * Resolves when the copies that `node` has, of that term and before, are void, or it is known now,
   * and not only was once, that it is dead. Never rejects.
   */
  renounce(node: string, term: number): Promise<void>;
  /** Runs it at the end of this turn. */
  schedule(work: () => void): void;
  /** Runs it once after so long. */
  after(ms: number, work: () => void): void;
  nowMs(): number;
  onKept(id: string): void;
  /** The shadow has all up to `until` (see Encoded), or there is no shadow that could. */
  onStored(id: string, until: number): void;
}

/** How long a change waits for others while nobody waits for it. */
export const PATIENCE_MS = 25;
/** A node that did not answer is asked again and again, after so long, whether it takes copies. */
export const PROBE_MS = 1_000;
/** The first time only after so long, if it answered and then failed at once: it has too much to do. */
export const SUSPECT_MS = 10_000;
/** Of the items of one frame; one item may have more. */
const BATCH_BYTES = 1024 * 1024;
const BATCH_ITEMS = 5_000;
const NOTHING = Buffer.alloc(0);

interface Mirrored {
  shadow: string | undefined;
  /** Counts the wholes: answers to what was sent before the last one say nothing. */
  epoch: number;
  sequence: number;
  isWholeDue: boolean;
  isDirty: boolean;
  /** Changes so far, those of one turn as one; how many are on their way, and how many the shadow has. */
  changes: number;
  sent: number;
  stored: number;
  /** The answer to what was sent last comes as soon as it can. */
  isAwaited: boolean;
  untilStored: Waiters | undefined;
  /** The newest wait: all that wait for the same changes wait together. */
  newest: { readonly changes: number; readonly wait: Promise<boolean> } | undefined;
  isClosed: boolean;
}

interface Sent extends MirrorItem {
  readonly mirrored: Mirrored | undefined;
  readonly epoch: number;
  /** How many changes the shadow has when it has stored this, and see Encoded. */
  readonly changes: number;
  readonly until: number;
  readonly isAwaited: boolean;
}

export interface MirrorStats {
  /** Sessions that another node has a copy of, or is to have. */
  shadowed: number;
  /** Sessions that no other node can have a copy of now. */
  unshadowed: number;
  mirroredWhole: number;
  mirroredChanges: number;
  mirrorFailures: number;
}

export class Mirror {
  readonly #parts: MirrorParts;
  readonly #sessions = new Map<string, Mirrored>();
  /** Sessions that are over, by the node that still has their copy. */
  readonly #drops = new Map<string, Set<string>>();
  /** Nodes that did not answer, until they do; and when that was, of those that did. */
  readonly #suspects = new Set<string>();
  readonly #trustedMs = new Map<string, number>();
  /** Of nodes that ever failed us, or went; it never goes back. */
  readonly #terms = new Map<string, number>();
  /** Nodes whose lease has lapsed; they may come back. */
  readonly #gone = new Set<string>();
  readonly #renouncing = new Set<Promise<void>>();
  #dirty = new Set<string>();
  /** Sessions with changes that nobody waits for: they go with others of theirs, or after a while. */
  #patient = new Set<string>();
  readonly #unshadowed = new Set<string>();
  #isScheduled = false;
  #whole = 0;
  #changes = 0;
  #failures = 0;

  constructor(parts: MirrorParts) {
    this.#parts = parts;
  }

  get stats(): MirrorStats {
    return {
      shadowed: this.#sessions.size - this.#unshadowed.size,
      unshadowed: this.#unshadowed.size,
      mirroredWhole: this.#whole,
      mirroredChanges: this.#changes,
      mirrorFailures: this.#failures,
    };
  }

  begin(id: string): void {
    this.#sessions.set(id, {
      shadow: undefined,
      epoch: 0,
      sequence: 0,
      isWholeDue: true,
      isDirty: false,
      changes: 0,
      sent: 0,
      stored: 0,
      isAwaited: true,
      untilStored: undefined,
      newest: undefined,
      isClosed: false,
    });
    this.changed(id);
  }

  changed(id: string): void {
    const mirrored = this.#sessions.get(id);
    if (mirrored === undefined || mirrored.isClosed) return;
    if (mirrored.changes === mirrored.sent) mirrored.changes += 1;
    this.#touch(id, mirrored);
  }

  /** The same for what nobody waits for, unless somebody comes to. */
  changedLittle(id: string): void {
    const mirrored = this.#sessions.get(id);
    if (mirrored === undefined || mirrored.isClosed) return;
    if (mirrored.changes === mirrored.sent) mirrored.changes += 1;
    if (mirrored.isDirty) return;
    if (this.#patient.size === 0) this.#parts.after(PATIENCE_MS, () => this.#tellPatient());
    this.#patient.add(id);
  }

  #tellPatient(): void {
    const patient = this.#patient;
    this.#patient = new Set();
    for (const id of patient) {
      const mirrored = this.#sessions.get(id);
      if (mirrored !== undefined && mirrored.changes > mirrored.sent) this.#touch(id, mirrored);
    }
  }

  /**
   * Settles with true once the shadow has all changes so far, or there is none, and with false when
   * the session has gone from here before that. Undefined: it is so already, or it is not mirrored.
   */
  settled(id: string): Promise<boolean> | undefined {
    const mirrored = this.#sessions.get(id);
    if (mirrored === undefined || mirrored.isClosed) return undefined;
    if (mirrored.stored >= mirrored.changes) return undefined;
    const { changes, newest } = mirrored;
    // Once more if its answer may take its time: the one to this tells the same.
    if (changes > mirrored.sent || !mirrored.isAwaited) this.#touch(id, mirrored);
    if (newest?.changes === changes) return newest.wait;
    mirrored.untilStored ??= new Waiters();
    const wait = mirrored.untilStored.wait(changes);
    mirrored.newest = { changes, wait };
    return wait;
  }

  /** Another node has a copy of it, or is to have one. */
  isMirrored(id: string): boolean {
    const mirrored = this.#sessions.get(id);
    return mirrored !== undefined && !mirrored.isClosed && !this.#unshadowed.has(id);
  }

  /** The node that has a copy of it, or is to have one. */
  readonly shadowOf = (id: string): string | undefined => this.#sessions.get(id)?.shadow;

  /** Another node has a copy with all changes so far. */
  isSafe(id: string): boolean {
    const mirrored = this.#sessions.get(id);
    if (mirrored?.shadow === undefined || mirrored.isWholeDue) return false;
    return mirrored.stored >= mirrored.changes;
  }

  /** It is over: nothing is told any more, and nobody waits. Its copy stays until `end`. */
  close(id: string): void {
    const mirrored = this.#sessions.get(id);
    if (mirrored === undefined) return;
    mirrored.isClosed = true;
    mirrored.untilStored?.end();
  }

  /** Nothing is left of it here, so that its copy may go. */
  end(id: string): void {
    const mirrored = this.#sessions.get(id);
    if (mirrored === undefined) return;
    this.#sessions.delete(id);
    this.#unshadowed.delete(id);
    mirrored.untilStored?.end();
    if (mirrored.shadow !== undefined) this.#drop(mirrored.shadow, id);
  }

  /** Its lease has lapsed, and its copies do not count: others must have them. */
  nodeDown(node: string): void {
    if (this.#gone.has(node)) return;
    this.#drops.delete(node);
    this.#suspects.delete(node);
    this.#trustedMs.delete(node);
    this.#gone.add(node);
    const term = this.#termOf(node);
    this.#terms.set(node, term + 1);
    this.#renounce(node, term); // It may be back already, with copies that are newer than that.
    this.#leave(node);
  }

  /** It says that it has no copies any more: it could not prove its lease for a while. */
  forgottenBy(node: string): void {
    for (const [id, mirrored] of this.#sessions) {
      if (mirrored.shadow === node) this.#again(id, mirrored);
    }
  }

  /** Sessions that had nobody to mirror them may have somebody now. */
  nodeUp(node: string): void {
    // It was only thought dead, and may have got what was on its way to it then.
    if (this.#gone.delete(node)) this.#renounce(node, this.#termOf(node) - 1);
    this.#retry();
  }

  #retry(): void {
    for (const id of this.#unshadowed) {
      const mirrored = this.#sessions.get(id);
      if (mirrored !== undefined) this.#again(id, mirrored);
    }
  }

  /** A word about every session, so that it is soon learnt which are kept by their shadows. */
  touchAll(): void {
    for (const [id, mirrored] of this.#sessions) this.#touch(id, mirrored);
  }

  #touch(id: string, mirrored: Mirrored): void {
    if (!mirrored.isDirty) {
      mirrored.isDirty = true;
      this.#dirty.add(id);
    }
    this.#flushLater();
  }

  #again(id: string, mirrored: Mirrored): void {
    mirrored.epoch += 1;
    mirrored.isWholeDue = true;
    mirrored.changes += 1; // Nobody else has it now, so that nothing new may be promised.
    this.#touch(id, mirrored);
  }

  /** All that have their copies there are sent whole to others. */
  #leave(node: string): void {
    for (const [id, mirrored] of this.#sessions) {
      if (mirrored.shadow !== node) continue;
      mirrored.shadow = undefined;
      this.#again(id, mirrored);
    }
  }

  #drop(node: string, id: string): void {
    const drops = this.#drops.get(node) ?? new Set();
    this.#drops.set(node, drops.add(id));
    this.#flushLater();
  }

  #flushLater(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#parts.schedule(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    const batches = new Map<string, Sent[]>();
    const add = (node: string, sent: Sent) => {
      const batch = batches.get(node);
      if (batch === undefined) batches.set(node, [sent]);
      else batch.push(sent);
    };
    for (const [node, ids] of this.#drops) {
      for (const id of ids) {
        const item = { kind: "drop", id, sequence: 0, payload: NOTHING } as const;
        const nobodys = { mirrored: undefined, epoch: 0, changes: 0, until: 0, isAwaited: false };
        add(node, { ...item, ...nobodys });
      }
    }
    this.#drops.clear();
    const dirty = this.#dirty;
    this.#dirty = new Set();
    for (const id of dirty) {
      const mirrored = this.#sessions.get(id);
      if (mirrored === undefined) continue;
      mirrored.isDirty = false;
      const sent = this.#next(id, mirrored);
      if (sent !== undefined && mirrored.shadow !== undefined) add(mirrored.shadow, sent);
    }
    for (const [node, batch] of batches) this.#dispatch(node, batch);
  }

  #next(id: string, mirrored: Mirrored): Sent | undefined {
    const isWhole = mirrored.isWholeDue;
    if (mirrored.shadow === undefined) this.#choose(id, mirrored);
    if (mirrored.shadow === undefined) {
      void this.#goOnWithout(id, mirrored);
      return undefined;
    }
    const encoded = this.#parts.encode(id, isWhole);
    if (encoded === undefined) return undefined;
    mirrored.isWholeDue = false;
    mirrored.sequence += 1;
    if (isWhole) this.#whole += 1;
    else this.#changes += 1;
    const { payload, isComplete, until, isForClient } = encoded;
    if (isComplete) mirrored.sent = mirrored.changes;
    else this.#touch(id, mirrored);
    const { epoch, sequence } = mirrored;
    const kind = isWhole ? "whole" : "change";
    const changes = isComplete ? mirrored.changes : 0;
    const isAwaited = isWhole || isForClient || mirrored.untilStored?.isEmpty === false;
    return { kind, id, sequence, payload, mirrored, epoch, changes, until, isAwaited };
  }

  /** Never in place of another that lives: it may have taken the session over, and would not say so. */
  #choose(id: string, mirrored: Mirrored): void {
    const isUsable = (node: string) => !this.#gone.has(node) && !this.#suspects.has(node);
    mirrored.shadow = this.#parts.choose(id, isUsable);
    if (mirrored.shadow === undefined) this.#unshadowed.add(id);
    else this.#unshadowed.delete(id);
  }

  /** Nobody else is there, or answers: once no old copy can be taken for the session. */
  async #goOnWithout(id: string, mirrored: Mirrored): Promise<void> {
    const { changes } = mirrored;
    mirrored.sent = changes;
    mirrored.isAwaited = true;
    await Promise.all(this.#renouncing);
    if (mirrored.shadow === undefined && this.#sessions.get(id) === mirrored) {
      this.#stored(mirrored, changes);
      // What has come since may have been sent to somebody who does not answer now.
      if (mirrored.changes === changes) this.#parts.onStored(id, Number.POSITIVE_INFINITY);
    }
  }

  #dispatch(node: string, batch: readonly Sent[]): void {
    let from = 0;
    let bytes = 0;
    batch.forEach(({ payload }, at) => {
      const isFull = bytes + payload.length > BATCH_BYTES || at - from >= BATCH_ITEMS;
      if (at > from && isFull) {
        void this.#send(node, batch.slice(from, at));
        from = at;
        bytes = 0;
      }
      bytes += payload.length;
    });
    void this.#send(node, from === 0 ? batch : batch.slice(from));
  }

  /** Never rejects. */
  async #send(node: string, batch: readonly Sent[]): Promise<void> {
    const term = this.#termOf(node);
    const isAwaited = batch.some((sent) => sent.isAwaited);
    for (const { mirrored } of batch) if (mirrored !== undefined) mirrored.isAwaited = isAwaited;
    try {
      const verdicts = await this.#parts.send(node, term, batch, isAwaited);
      // Whoever was left before this was sent must not have copies that count.
      if (this.#renouncing.size > 0) await Promise.all(this.#renouncing);
      batch.forEach((sent, at) => {
        this.#take(sent, verdicts[at] ?? "unknown");
      });
    } catch {
      this.#failures += 1;
      this.#suspect(node, term);
    }
  }

  /** It may or may not have what it was sent, and may come back: others are asked meanwhile. */
  #suspect(node: string, term: number): void {
    if (this.#termOf(node) !== term) return; // Known, from another frame.
    const trustedMs = this.#trustedMs.get(node) ?? Number.NEGATIVE_INFINITY;
    const isAgain = this.#parts.nowMs() - trustedMs < PROBE_MS;
    this.#suspects.add(node);
    this.#terms.set(node, term + 1);
    this.#drops.delete(node);
    this.#renounce(node, term);
    this.#leave(node);
    this.#probeLater(node, term + 1, isAgain ? SUSPECT_MS : PROBE_MS);
  }

  #probeLater(node: string, term: number, pauseMs: number): void {
    this.#parts.after(pauseMs, () => void this.#probe(node, term));
  }

  /** Sessions without a shadow must not be so for longer than there is none. Never rejects. */
  async #probe(node: string, term: number): Promise<void> {
    const isOver = () => !this.#suspects.has(node) || this.#termOf(node) !== term;
    if (isOver()) return;
    const isThere = await this.#parts.send(node, term, [], true).then(
      () => true,
      () => false,
    );
    if (isOver()) return;
    if (!isThere) {
      this.#probeLater(node, term, PROBE_MS);
      return;
    }
    this.#suspects.delete(node);
    this.#trustedMs.set(node, this.#parts.nowMs());
    this.#retry();
  }

  #termOf(node: string): number {
    return this.#terms.get(node) ?? 1;
  }

  #renounce(node: string, term: number): void {
    const renounced = this.#parts.renounce(node, term).then(() => {
      this.#renouncing.delete(renounced);
    });
    this.#renouncing.add(renounced);
  }

  #take({ id, mirrored, epoch, changes, until }: Sent, verdict: Verdict): void {
    if (mirrored === undefined || this.#sessions.get(id) !== mirrored) return;
    if (mirrored.epoch !== epoch) return;
    switch (verdict) {
      case "stored":
        this.#stored(mirrored, changes);
        if (changes > 0) this.#parts.onStored(id, until);
        return;
      case "unknown":
        this.#again(id, mirrored);
        return;
      case "kept":
        this.#parts.onKept(id);
        return;
      default:
        verdict satisfies never;
    }
  }

  #stored(mirrored: Mirrored, changes: number): void {
    if (changes <= mirrored.stored) return;
    mirrored.stored = changes;
    mirrored.untilStored?.reach(changes);
  }
}
