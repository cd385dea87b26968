/**
 * Owners and keepers of copies in one process, where everything takes its time and much goes wrong.
 * One seed decides what happens next. After every step: were an owner dead now, what would be found?
 */
import { setImmediate as turn } from "node:timers/promises";
import { FakeClock } from "../../base/fake-clock.ts";
import { seeded } from "../../modules/testing/weather.ts";
import { Keeper } from "../keeper.ts";
import type { Verdict } from "../mirror.ts";
import { SUSPECT_MS } from "../standing.ts";
import { Etcd } from "./etcd.ts";
import type { Frame } from "./network.ts";
import { Network } from "./network.ts";
import type { Piece, Renunciation, Session } from "./owner.ts";
import { decode, Owner } from "./owner.ts";

interface KeeperNode {
  readonly name: string;
  readonly zone: string;
  readonly keeper: Keeper<Piece>;
  isLive: boolean;
  hasLease: boolean;
}

/** How often a keeper failed an owner, or failed at all; and how often the owner knew. */
interface Trust {
  faults: number;
  known: number;
  knownAtMs: number;
  /** The owner has seen it lose its lease. */
  isLapsed: boolean;
}

/** A copy that a keeper has, unless it has failed since. */
interface Stored extends Readonly<Trust> {
  readonly version: number;
}

type Action = readonly [weight: number, work: () => void];

const SESSIONS_MAX = 3;

export class Weather {
  readonly owners: readonly Owner[];
  readonly keepers: readonly KeeperNode[];
  /** What must never be, and was. */
  readonly broken: string[] = [];
  readonly lines: string[] = [];
  readonly counts = { promised: 0, without: 0, faults: 0, renounced: 0, strays: 0 };
  readonly #etcd = new Etcd();
  readonly #network = new Network();
  readonly #clock = new FakeClock();
  readonly #fraction: () => number;
  /** Some stories have few faults. */
  readonly #harshness: number;
  /** By session and keeper. */
  readonly #stored = new Map<string, Stored>();
  /** By owner and keeper. */
  readonly #trust = new Map<string, Trust>();

  constructor(seed: number) {
    this.#fraction = seeded(seed);
    this.#harshness = [0.05, 0.3, 1][seed % 3] ?? 1;
    this.keepers = ["here", "there", "there"].map((zone, index) => ({
      name: `k${index}`,
      zone,
      keeper: new Keeper<Piece>({ userOf: () => "", whole: decode, change: join }),
      isLive: true,
      hasLease: true,
    }));
    this.owners = ["a", "b"].map((name) => this.#newOwner(name));
    for (const { name } of [...this.keepers, ...this.owners]) this.#etcd.grant(name);
    for (const owner of this.owners) {
      for (const { name } of this.keepers) owner.view.add(name);
    }
  }

  async play(steps: number): Promise<void> {
    for (let step = 0; step < steps && this.broken.length === 0; step += 1) {
      const faults = this.#faults().map(
        ([weight, work]): Action => [weight * this.#harshness, work],
      );
      await this.#step([...this.#work(), ...this.#wishes(), ...faults]);
    }
  }

  /** Everything is put right, and everything that is on its way arrives. */
  async calm(): Promise<void> {
    for (const node of this.keepers) {
      if (!node.isLive) {
        this.#lapse(node.name);
        for (const owner of this.owners) this.#judge(owner, node.name);
      } else if (!node.hasLease) {
        this.#lapse(node.name);
        this.#regain(node);
      }
    }
    for (const owner of this.owners) owner.hasLease = true;
    for (let round = 0; round < 4; round += 1) {
      for (let left = 2_000; this.broken.length === 0; left -= 1) {
        if (left === 0) this.broken.push("it never comes to rest");
        const work = this.#work();
        if (work.length === 0) break;
        await this.#step(work);
      }
      this.#clock.advance(SUSPECT_MS);
    }
    if (this.broken.length === 0) for (const owner of this.owners) this.#checkRest(owner);
  }

  async #step(actions: readonly Action[]): Promise<void> {
    let at = this.#fraction() * actions.reduce((sum, [weight]) => sum + weight, 0);
    const action = actions.find(([weight]) => {
      at -= weight;
      return at < 0;
    });
    action?.[1]();
    await turn();
    for (const owner of this.owners) this.#check(owner);
  }

  /** What goes on by itself. */
  #work(): Action[] {
    const network = this.#network;
    const actions: Action[] = [
      ...network.next.map((frame): Action => [4, () => this.#arrive(frame)]),
      ...network.strays.map((frame): Action => [1, () => this.#arriveAstray(frame)]),
      ...network.arrived.map((frame): Action => [4, () => this.#answer(frame)]),
    ];
    for (const owner of this.owners) {
      if (owner.turns.length > 0) actions.push([6, () => owner.turns.shift()?.()]);
      if (owner.events.length > 0) actions.push([3, () => this.#see(owner)]);
      for (const one of owner.renunciations) {
        if (owner.hasLease || one.isNoted) actions.push([2, () => this.#renounce(owner, one)]);
        else actions.push([1, () => this.#cannotRenounce(owner, one)]);
      }
    }
    return actions;
  }

  /** What sessions do. */
  #wishes(): Action[] {
    const actions: Action[] = [];
    for (const owner of this.owners) {
      const { live } = owner;
      if (live.length < SESSIONS_MAX) actions.push([1, () => owner.begin()]);
      for (const session of live) {
        actions.push([1.5, () => this.#change(owner, session)]);
        actions.push([1.5, () => owner.ask(session)]);
        actions.push([0.1, () => this.#end(owner, session)]);
      }
      actions.push([0.05, () => owner.mirror.touchAll()]);
    }
    return actions;
  }

  #faults(): Action[] {
    const actions: Action[] = [[0.5, () => this.#clock.advance(SUSPECT_MS / 2)]];
    for (const frame of this.#network.pending) {
      actions.push([0.15, () => this.#fail(frame, false)]);
      actions.push([0.15, () => this.#fail(frame, true)]);
    }
    for (const owner of this.owners) actions.push([0.1, () => this.#doubt(owner)]);
    const live = this.keepers.filter(({ isLive }) => isLive);
    for (const node of live) {
      if (node.hasLease) actions.push([0.2, () => this.#loseLease(node)]);
      else if (!this.#etcd.has(node.name)) actions.push([0.7, () => this.#regain(node)]);
      if (live.length > 1) actions.push([0.03, () => this.#kill(node)]);
    }
    for (const { name, keeper, isLive, hasLease } of this.keepers) {
      const mayLapse = !(isLive && hasLease) && this.#etcd.has(name);
      if (mayLapse) actions.push([0.5, () => this.#lapse(name)]);
      if (isLive) actions.push([0.1, () => keeper.renounced(this.#etcd.renounced(name))]);
      for (const owner of this.#etcd.has(name) ? [] : this.owners) {
        if (owner.view.has(name)) actions.push([0.1, () => this.#judge(owner, name)]);
      }
    }
    return actions;
  }

  #newOwner(name: string): Owner {
    for (const { name: keeper } of this.keepers) {
      this.#trust.set(`${name} ${keeper}`, {
        faults: 0,
        known: 0,
        knownAtMs: -Infinity,
        isLapsed: false,
      });
    }
    const owner: Owner = new Owner({
      name,
      zoneOf: (keeper) => this.#keeper(keeper).zone,
      send: (keeper, term, items) => {
        const { known } = this.#trustOf(name, keeper);
        return this.#network.send({ owner: name, keeper, term, items, known });
      },
      after: (ms, work) => void this.#clock.after(ms, work),
      nowMs: () => this.#clock.monotonicMs(),
      onRenounce: (one) => this.#checkElsewhere(owner, one),
      onPromise: (session, version) => this.#onPromise(owner, session, version),
      onBroken: (why) => void this.broken.push(why),
    });
    return owner;
  }

  #change(owner: Owner, session: Session): void {
    owner.change(session, 1 + Math.floor(this.#fraction() * 5), this.#fraction() < 0.2);
    this.#say(`${session.id} changes to ${session.version}`);
  }

  #end(owner: Owner, session: Session): void {
    this.#say(`${session.id} ends`);
    owner.end(session);
  }

  #arrive(frame: Frame): void {
    const answer = this.#take(frame);
    if (answer === undefined) {
      this.#fail(frame, false);
      return;
    }
    this.#network.arrive(frame, answer);
    const { owner, keeper, items, term, known } = frame;
    if (known < this.#trustOf(owner, keeper).known) return; // It is left already.
    if (term <= (this.#etcd.renounced(keeper).get(owner) ?? 0)) return;
    const copies = this.#keeper(keeper).keeper.copiesOf(owner, 0).byId;
    for (const { id } of items) {
      const copy = copies.get(id)?.state;
      if (copy === undefined) continue;
      if (!isComplete(copy)) this.#stored.delete(`${id} ${keeper}`);
      else {
        const stored = { version: copy.to, ...this.#trustOf(owner, keeper) };
        this.#stored.set(`${id} ${keeper}`, stored);
      }
    }
  }

  #arriveAstray(frame: Frame): void {
    this.counts.strays += 1;
    this.#network.arriveAstray(frame);
    this.#take(frame);
  }

  /** Undefined when the keeper refuses it. */
  #take({ owner, keeper, term, items }: Frame): readonly Verdict[] | undefined {
    const node = this.#keeper(keeper);
    const what = items.map(({ kind, id, payload }) => `${kind} ${id} ${payload.toString()}`);
    const line = `${owner} to ${keeper} in term ${term}: ${what.join(", ")}`;
    if (!node.isLive) {
      this.#say(`${line}; refused`);
      return undefined;
    }
    try {
      const answer = node.keeper.take(owner, term, items);
      this.#say(`${line}; ${answer.join(", ")}`);
      return answer;
    } catch (error) {
      this.broken.push(`${line}: ${String(error)}`);
      return undefined;
    }
  }

  #answer(frame: Frame): void {
    this.#say(`${frame.owner} hears ${frame.answer?.join(", ")} from ${frame.keeper}`);
    this.#network.answer(frame);
  }

  #fail(frame: Frame, mayArrive: boolean): void {
    const { owner, keeper } = frame;
    this.#say(`${owner} hears nothing from ${keeper}${mayArrive ? ", which may hear it yet" : ""}`);
    // A question whether it is there says nothing of what it has.
    if (frame.items.length > 0) this.#blame(keeper, [owner], true);
    else this.#trustOf(owner, keeper).knownAtMs = this.#clock.monotonicMs();
    this.#network.fail(frame, mayArrive);
  }

  #see(owner: Owner): void {
    const event = owner.events.shift();
    if (event === undefined) return;
    const { kind, keeper } = event;
    this.#trustOf(owner.name, keeper).isLapsed = kind === "lapsed";
    this.#say(`${owner.name} sees ${keeper} ${kind}`);
    switch (kind) {
      case "lapsed":
        owner.mirror.nodeLapsed(keeper);
        break;
      case "down":
        this.#blame(keeper, [owner.name], true);
        owner.view.delete(keeper);
        owner.mirror.nodeDown(keeper);
        break;
      case "up":
        // What is under way without a copy goes on without.
        this.#trustOf(owner.name, keeper).knownAtMs = this.#clock.monotonicMs();
        owner.view.add(keeper);
        owner.mirror.nodeUp(keeper);
        break;
      default:
        kind satisfies never;
    }
  }

  #renounce(owner: Owner, one: Renunciation): void {
    const { keeper, term, isNoted } = one;
    this.#say(`${owner.name} ${isNoted ? "has renounced" : "renounces"} ${term} of ${keeper}`);
    if (isNoted) {
      owner.renunciations.splice(owner.renunciations.indexOf(one), 1);
      one.resolve(true);
    } else {
      this.counts.renounced += 1;
      this.#etcd.renounce(owner.name, keeper, term);
      this.#blame(keeper, [owner.name]); // Only now what it has may go.
      one.isNoted = true;
    }
  }

  #cannotRenounce(owner: Owner, one: Renunciation): void {
    this.#say(`${owner.name} cannot renounce ${one.term} of ${one.keeper}`);
    owner.renunciations.splice(owner.renunciations.indexOf(one), 1);
    one.resolve(false);
  }

  #doubt(owner: Owner): void {
    owner.hasLease = !owner.hasLease;
    this.#say(`${owner.name} can ${owner.hasLease ? "" : "not "}prove its lease`);
  }

  #kill(node: KeeperNode): void {
    this.#say(`${node.name} dies`);
    node.isLive = false;
    this.#blame(node.name);
  }

  #loseLease(node: KeeperNode): void {
    this.#say(`${node.name} cannot prove its lease`);
    node.hasLease = false;
  }

  #lapse(name: string): void {
    if (!this.#etcd.has(name)) return;
    this.#say(`the lease of ${name} lapses`);
    this.#etcd.lapse(name);
    for (const { events } of this.owners) events.push({ kind: "lapsed", keeper: name });
  }

  /** It does not answer, or has had no lease for long: it counts as dead. */
  #judge({ events }: Owner, keeper: string): void {
    events.push({ kind: "down", keeper });
  }

  #regain(node: KeeperNode): void {
    const { name } = node;
    this.#say(`${name} has a new lease`);
    if (!this.#etcd.has(name)) {
      for (const { events } of this.owners) events.push({ kind: "up", keeper: name });
    }
    this.#etcd.grant(name);
    node.hasLease = true;
  }

  #onPromise(owner: Owner, session: Session, version: number): void {
    this.#say(`${session.id} is promised up to ${version}`);
    this.counts.promised += 1;
    const isHeld = this.keepers.some(({ name }) => {
      const stored = this.#stored.get(`${session.id} ${name}`);
      const { known } = this.#trustOf(owner.name, name);
      return stored !== undefined && stored.version >= version && stored.known === known;
    });
    if (isHeld) return;
    this.counts.without += 1;
    for (const keeper of this.#trustedBy(owner)) {
      this.broken.push(`${session.id} is promised without a copy, though ${keeper} is there`);
    }
  }

  /** Were that owner dead as soon as this is noted: is there another copy, or nobody who could have it? */
  #checkElsewhere(owner: Owner, { keeper: left, term }: Renunciation): void {
    for (const session of owner.live) {
      if (!this.#hasAll(left, owner, session, 0)) continue;
      const isKept = (name: string) => this.#hasAll(name, owner, session, name === left ? term : 0);
      if (this.keepers.some(({ name }) => isKept(name))) continue;
      for (const name of this.#trustedBy(owner)) {
        // One without a lease has it only where there is no other.
        const isLapsed = this.#trustOf(owner.name, name).isLapsed || !this.#keeper(name).isLive;
        if (name === left || isLapsed) continue;
        this.broken.push(`only ${left} has ${session.id}, and that becomes void; ${name} is there`);
      }
    }
  }

  /** Or had: that it died a moment ago nobody can know. */
  #hasAll(name: string, owner: Owner, { id, promised }: Session, voidTerm: number): boolean {
    const until = Math.max(voidTerm, this.#voidTerm(owner, name));
    const copy = this.#keeper(name).keeper.copiesOf(owner.name, until).byId.get(id)?.state;
    return copy !== undefined && isComplete(copy) && copy.to >= promised;
  }

  /** Those that have not failed it for long. */
  #trustedBy({ name: owner, view }: Owner): readonly string[] {
    const longAgoMs = this.#clock.monotonicMs() - 2 * SUSPECT_MS;
    return [...view].filter((keeper) => this.#trustOf(owner, keeper).knownAtMs < longAgoMs);
  }

  /** Were that owner dead now: what would be taken over? */
  #check(owner: Owner): void {
    for (const { name, keeper, isLive } of this.keepers) {
      if (!isLive) continue;
      const { byId } = keeper.copiesOf(owner.name, this.#voidTerm(owner, name));
      const { faults } = this.#trustOf(owner.name, name);
      for (const { id, promised } of owner.live) {
        const copy = byId.get(id)?.state;
        if (copy !== undefined && isComplete(copy) && copy.to < promised) {
          this.broken.push(`${name} has ${id} up to ${copy.to}, promised is ${promised}`);
        }
        const stored = this.#stored.get(`${id} ${name}`);
        if (stored?.faults === faults && (copy?.to ?? 0) < stored.version) {
          this.broken.push(`${name} has lost ${id} without a fault`);
        }
      }
    }
  }

  /** Every session has one copy, which is all of it; what is over has none. */
  #checkRest(owner: Owner): void {
    const copies = this.keepers
      .filter(({ isLive }) => isLive)
      .flatMap(({ name, keeper }) => {
        const { byId } = keeper.copiesOf(owner.name, this.#voidTerm(owner, name));
        return [...byId].map(([id, { state }]) => `${id} ${state.to}`);
      });
    const wanted = owner.live.map(({ id, version }) => `${id} ${version}`);
    if (copies.toSorted().join() !== wanted.toSorted().join()) {
      this.broken.push(`at rest there are ${copies.join()}, but should be ${wanted.join()}`);
    }
    for (const { id, waiting } of owner.sessions.values()) {
      if (waiting > 0) this.broken.push(`somebody waits for ${id} for ever`);
    }
  }

  /** Leaves out of account what a keeper had until now. */
  #blame(keeper: string, owners = this.owners.map(({ name }) => name), isKnown = false): void {
    this.counts.faults += 1;
    for (const owner of owners) {
      const trust = this.#trustOf(owner, keeper);
      trust.faults += 1;
      if (!isKnown) continue;
      trust.known += 1;
      trust.knownAtMs = this.#clock.monotonicMs();
    }
  }

  #voidTerm({ name }: Owner, keeper: string): number {
    return this.#etcd.renounced(keeper).get(name) ?? 0;
  }

  #trustOf(owner: string, keeper: string): Trust {
    const trust = this.#trust.get(`${owner} ${keeper}`);
    if (trust === undefined) throw new Error(`${keeper} is no keeper of ${owner}`);
    return trust;
  }

  #keeper(name: string): KeeperNode {
    const node = this.keepers.find((one) => one.name === name);
    if (node === undefined) throw new Error(`${name} is no keeper`);
    return node;
  }

  #say(line: string): void {
    this.lines.push(line);
  }
}

const isComplete = ({ to, due }: Piece): boolean => to >= due;

/** @throws Error when something is missing in between */
function join(copy: Piece, payload: Buffer): Piece {
  const piece = decode(payload);
  if (piece.from !== copy.to) throw new Error(`${piece.from} does not fit behind ${copy.to}`);
  return piece;
}
