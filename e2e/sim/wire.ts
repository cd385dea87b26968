/** Connections between processes: both ends have the face of node's sockets as far as it is used. */
import { EventEmitter } from "node:events";
import type { Latency, Network, Pipe } from "./network.ts";
import type { World } from "./world.ts";

/** Where one end is: nothing happens there while the process does not run. */
export interface Place {
  /** Of the machine, in the network. */
  readonly machine: string;
  /** Runs work in the process: later if it is paused, never if it is gone. */
  enter(work: () => void): void;
  /** The process is about to do something that others see: it may die of it. */
  step(): void;
}

/** Bytes that the system takes from a writer before the peer has any of them. */
const BUFFER_BYTES = 65_536;
/** A write arrives in two pieces that often. */
const SPLIT_CHANCE = 0.1;
const END = Symbol("end");

interface Untaken {
  left: number;
  readonly done: () => void;
}

export class Wire extends EventEmitter {
  readonly remoteAddress = "127.0.0.1";
  readonly place: Place;
  destroyed = false;
  /** Written, and not read by the peer's system yet. */
  #underWay = 0;
  readonly #world: World;
  #peer: Wire | undefined;
  #out: Pipe | undefined;
  #isPaused = false;
  #isEnded = false;
  #isPeersEnd = false;
  /** With what is to be called when all before it has been read. */
  readonly #unread: (Buffer | typeof END | (() => void))[] = [];
  readonly #untaken: Untaken[] = [];

  /** Two ends that know each other; nothing has been said yet. */
  static pair(
    world: World,
    network: Network,
    [here, there]: readonly [Place, Place],
    latency: Latency,
  ): readonly [Wire, Wire] {
    const [one, other] = [new Wire(world, here), new Wire(world, there)];
    one.#peer = other;
    other.#peer = one;
    one.#out = network.pipe(here.machine, there.machine, latency);
    other.#out = network.pipe(there.machine, here.machine, latency);
    return [one, other];
  }

  private constructor(world: World, place: Place) {
    super();
    this.#world = world;
    this.place = place;
  }

  /** Asks the other end to take the connection; "connect" and "secureConnect" say that it has. */
  open(accept: ((wire: Wire) => void) | undefined): void {
    const peer = this.#peer;
    if (peer === undefined) return;
    this.#out?.send(() => {
      if (accept === undefined) {
        peer.#out?.send(() => this.place.enter(() => this.#onReset("ECONNREFUSED")));
        return;
      }
      peer.place.enter(() => accept(peer));
      peer.#out?.send(() =>
        this.place.enter(() => {
          if (this.destroyed) return;
          this.emit("connect");
          this.emit("secureConnect");
        }),
      );
    });
  }

  /** What the system has not taken. */
  get writableLength(): number {
    return Math.max(0, this.#underWay - BUFFER_BYTES);
  }

  setNoDelay(): this {
    return this;
  }

  isPaused(): boolean {
    return this.#isPaused;
  }

  pause(): this {
    this.#isPaused = true;
    return this;
  }

  resume(): this {
    if (!this.#isPaused) return this;
    this.#isPaused = false;
    this.#world.after(0, () => this.place.enter(() => this.#read()));
    return this;
  }

  /** @param arrived when the peer's process has read it: a sender cannot know, but the checks do */
  write(bytes: Buffer, taken?: (error?: Error) => void, arrived?: () => void): boolean {
    this.place.step();
    const peer = this.#peer;
    if (this.destroyed || this.#isEnded || peer === undefined) {
      taken?.(new Error("Cannot write: closed"));
      return false;
    }
    this.#underWay += bytes.length;
    const done = () => this.place.enter(() => taken?.());
    const left = this.#underWay - BUFFER_BYTES;
    if (left <= 0) this.#world.after(0, done);
    else this.#untaken.push({ left, done });
    for (const piece of this.#pieces(bytes)) {
      this.#out?.send(() => {
        this.#left(piece.length);
        peer.place.enter(() => peer.#receive(piece));
      });
    }
    if (arrived !== undefined) {
      this.#out?.send(() => peer.place.enter(() => peer.#receive(arrived)));
    }
    return true;
  }

  end(): this {
    if (this.#isEnded || this.destroyed) return this;
    this.place.step();
    this.#isEnded = true;
    const peer = this.#peer;
    this.#out?.send(() => peer?.place.enter(() => peer.#receive(END)));
    this.#closeIfOver();
    return this;
  }

  destroy(): this {
    if (this.destroyed) return this;
    this.place.step();
    this.break();
    this.#world.after(0, () => this.place.enter(() => this.emit("close")));
    return this;
  }

  /** The process is gone, or lets go of it: the system tells the peer after what was written. */
  break(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    const peer = this.#peer;
    this.#out?.send(() => {
      peer?.place.enter(() => peer.#onReset());
      this.#out?.close();
    });
  }

  /** The machine is off: the other end finds that out by itself, or is told by its system. */
  vanish(foundOutMs: number): void {
    if (this.destroyed) return;
    this.destroyed = true;
    const peer = this.#peer;
    this.#world.after(foundOutMs, () => peer?.place.enter(() => peer.#onReset()));
  }

  #pieces(bytes: Buffer): readonly Buffer[] {
    if (bytes.length < 2 || !this.#world.isSo(SPLIT_CHANCE)) return [bytes];
    const at = this.#world.integer(1, bytes.length - 1);
    return [bytes.subarray(0, at), bytes.subarray(at)];
  }

  #left(bytes: number): void {
    this.#underWay -= bytes;
    for (const one of this.#untaken) one.left -= bytes;
    while ((this.#untaken[0]?.left ?? 1) <= 0) this.#untaken.shift()?.done();
    if (this.#underWay === 0) this.place.enter(() => this.emit("drain"));
  }

  #receive(piece: Buffer | typeof END | (() => void)): void {
    if (this.destroyed) {
      // The peer speaks to somebody who has hung up.
      const peer = this.#peer;
      this.#world.after(1, () => peer?.place.enter(() => peer.#onReset()));
      return;
    }
    this.#unread.push(piece);
    this.#read();
  }

  #read(): void {
    while (!this.#isPaused && !this.destroyed) {
      const piece = this.#unread.shift();
      if (piece === undefined) break;
      if (typeof piece === "function") {
        piece();
        continue;
      }
      if (piece !== END) {
        this.emit("data", Buffer.from(piece));
        continue;
      }
      this.#isPeersEnd = true;
      this.emit("end");
      this.end(); // Nobody asked for half-open sockets.
      this.#closeIfOver();
    }
  }

  #onReset(code = "ECONNRESET"): void {
    if (this.destroyed) return;
    this.break();
    const error = Object.assign(new Error(`the system says ${code}`), { code });
    if (this.listenerCount("error") > 0) this.emit("error", error);
    this.emit("close");
  }

  #closeIfOver(): void {
    if (this.destroyed || !this.#isEnded || !this.#isPeersEnd) return;
    this.destroyed = true;
    this.#world.after(0, () => this.place.enter(() => this.emit("close")));
  }
}
