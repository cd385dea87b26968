/**
 * The owner's half of mirroring: which of this node's sessions have a copy on which other node, and
 * how far it goes. A pure machine: sessions, frames and time are handed in. Whatever goes wrong, a
 * lost frame, a shadow that forgot or died, the session is sent whole again.
 */
import { Waiters } from "../base/waiters.ts";
import { Riders } from "./riders.ts";
import { Standing } from "./standing.ts";

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
   * Notes that the copies that `node` has, of that term and before, are void. Resolves with false, a while later, when
   * that could not be done. Never rejects.
   */
  renounce(node: string, term: number): Promise<boolean>;
  /** How long it is noted that they are void: who could not look for so long has none any more. */
  readonly notesLastMs: number;
  /** Runs it at the end of this turn. */
  schedule(work: () => void): void;
  /** Runs it once after so long. */
  after(ms: number, work: () => void): void;
  nowMs(): number;
  onKept(id: string): void;
  /** The shadow has all up to `until` (see Encoded), or there is no shadow that could. */
  onStored(id: string, until: number): void;
}

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
  readonly #standing: Standing;
  /** Frames that are not answered yet, by the node that is to answer. */
  readonly #sending = new Map<Promise<unknown>, string>();
  #dirty = new Set<string>();
  /** Sessions with changes that nobody waits for. */
  readonly #riders: Riders;
  readonly #unshadowed = new Set<string>();
  #isScheduled = false;
  #whole = 0;
  #changes = 0;
  #failures = 0;

  constructor(parts: MirrorParts) {
    this.#parts = parts;
    this.#standing = new Standing({
      ask: (node, term) => parts.send(node, term, [], true),
      renounce: (node, term) => parts.renounce(node, term),
      notesLastMs: parts.notesLastMs,
      after: (ms, work) => parts.after(ms, work),
      nowMs: () => parts.nowMs(),
      isThere: (isWanted) => parts.choose("", isWanted) !== undefined,
      onUsable: () => this.#retry(),
      leave: (node) => this.#leave(node),
      sendNow: () => this.#sendNow(),
    });
    this.#riders = new Riders({
      after: parts.after,
      shadowOf: this.shadowOf,
      isTold: (id) => this.#isTold(id),
      tell: (id) => this.#touch(id),
    });
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
    if (this.#isNews(id)) this.#touch(id);
  }

  /** The same for what nobody waits for: it goes with the next frame to the shadow, or in milliseconds. */
  changedAside(id: string): void {
    if (this.#isNews(id)) this.#riders.add(id);
  }

  /** The same for what may first wait for more of its session. */
  changedLittle(id: string): void {
    if (this.#isNews(id)) this.#riders.addLater(id);
  }

  /** Or is about to be. */
  #isTold(id: string): boolean {
    const { changes = 0, sent = 0, isDirty = true } = this.#sessions.get(id) ?? {};
    return isDirty || sent === changes;
  }

  /** It has changed. @returns whether that is not about to be told anyway */
  #isNews(id: string): boolean {
    const mirrored = this.#sessions.get(id);
    if (mirrored === undefined || mirrored.isClosed) return false;
    if (mirrored.changes === mirrored.sent) mirrored.changes += 1;
    return !mirrored.isDirty;
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

  /** It is dead, or as good as that: others must have what it has. */
  nodeDown(node: string): void {
    this.#standing.down(node);
  }

  /** It has lost its lease, and is there. */
  nodeLapsed(node: string): void {
    this.#standing.lapsed(node);
  }

  /** It has a lease: sessions that had nobody to mirror them may have somebody now. */
  nodeUp(node: string): void {
    this.#standing.up(node);
  }

  /** This node can renounce nobody any more. */
  leaseLost(): void {
    this.#standing.leaseLost();
  }

  leaseRegained(): void {
    this.#standing.leaseRegained();
  }

  /** It says that it has no copies any more: it could not look for a long time whether they are void. */
  forgottenBy(node: string): void {
    for (const [id, mirrored] of this.#sessions) {
      if (mirrored.shadow === node) this.#again(id, mirrored);
    }
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

  #touch(id: string, mirrored = this.#sessions.get(id)): void {
    if (mirrored?.isDirty === false) {
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
    this.#drops.delete(node);
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

  /** @returns whether nothing is left that goes with the next changes */
  #flush(): boolean {
    let isAll = true;
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
    const gather = (id: string) => {
      const mirrored = this.#sessions.get(id);
      if (mirrored === undefined) return;
      mirrored.isDirty = false;
      const sent = this.#next(id, mirrored);
      if (sent?.changes === 0) isAll = false; // The rest of it comes with the next flush.
      if (sent !== undefined && mirrored.shadow !== undefined) add(mirrored.shadow, sent);
    };
    const dirty = this.#dirty;
    this.#dirty = new Set();
    dirty.forEach(gather);
    for (const node of [...batches.keys()]) this.#riders.take(node).forEach(gather);
    for (const [node, batch] of batches) this.#dispatch(node, batch);
    return isAll;
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
    mirrored.shadow = this.#shadowFor(id);
    if (mirrored.shadow === undefined) this.#unshadowed.add(id);
    else this.#unshadowed.delete(id);
  }

  #shadowFor(id: string): string | undefined {
    const { choose } = this.#parts;
    return (
      choose(id, (node) => this.#standing.hasLease(node)) ??
      choose(id, (node) => this.#standing.isUsable(node))
    );
  }

  /** Nobody else is there, or answers: once no old copy can be taken for the session. */
  async #goOnWithout(id: string, mirrored: Mirrored): Promise<void> {
    const { changes } = mirrored;
    mirrored.sent = changes;
    mirrored.isAwaited = true;
    await this.#standing.renounced;
    if (this.#shadowFor(id) !== undefined) return; // Somebody is there by now.
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

  /** See StandingParts. */
  async #sendNow(): Promise<void> {
    for (;;) {
      const isAll = this.#flush();
      const awaited = [...this.#sending].filter(([, node]) => this.#standing.isUsable(node));
      const answers = await Promise.allSettled(awaited.map(([sending]) => sending));
      // What those who failed were to have goes to others.
      if (isAll && answers.every(({ status }) => status === "fulfilled")) return;
    }
  }

  /** Never rejects. */
  async #send(node: string, batch: readonly Sent[]): Promise<void> {
    const term = this.#standing.termOf(node);
    const isAwaited = batch.some((sent) => sent.isAwaited);
    for (const { mirrored } of batch) if (mirrored !== undefined) mirrored.isAwaited = isAwaited;
    this.#standing.told(node);
    const sending = this.#parts.send(node, term, batch, isAwaited);
    this.#sending.set(sending, node);
    try {
      const verdicts = await sending;
      // Whoever was left before this was sent must not have copies that count.
      const { renounced } = this.#standing;
      if (renounced !== undefined) await renounced;
      batch.forEach((sent, at) => {
        this.#take(sent, verdicts[at] ?? "unknown");
      });
    } catch {
      this.#failures += 1;
      this.#standing.failed(node, term);
    } finally {
      this.#sending.delete(sending);
    }
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
