/**
 * The network between machines: one-way pipes that keep their order, are late, and can be cut one
 * way or both. What is under way when a pipe is cut waits in it, as in a TCP that sends again.
 */
import type { World } from "./world.ts";

export interface Latency {
  readonly leastMs: number;
  readonly mostMs: number;
}

interface Parcel {
  readonly dueMs: number;
  readonly arrive: () => void;
}

export class Network {
  readonly #world: World;
  readonly #cut = new Set<string>();
  readonly #gone = new Set<string>();
  readonly #slow = new Map<string, number>();
  readonly #pipes = new Map<string, Set<Pipe>>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Nothing passes from one to the other until `heal`. */
  cut(from: string, to: string): void {
    this.#cut.add(`${from} ${to}`);
  }

  heal(from: string, to: string): void {
    this.#cut.delete(`${from} ${to}`);
    for (const pipe of this.#pipes.get(`${from} ${to}`) ?? []) pipe.pump();
  }

  /** The machine is off: nothing comes from it or reaches it, for ever. */
  remove(machine: string): void {
    this.#gone.add(machine);
  }

  isCut(from: string, to: string): boolean {
    return this.#cut.has(`${from} ${to}`) || this.#gone.has(from) || this.#gone.has(to);
  }

  /** Everything between them takes so many times as long; 1 as usual. */
  slow(from: string, to: string, factor: number): void {
    this.#slow.set(`${from} ${to}`, factor);
  }

  healAll(): void {
    this.#slow.clear();
    for (const direction of [...this.#cut]) {
      const [from = "", to = ""] = direction.split(" ");
      this.heal(from, to);
    }
  }

  latencyMs(from: string, to: string, { leastMs, mostMs }: Latency): number {
    return this.#world.between(leastMs, mostMs) * (this.#slow.get(`${from} ${to}`) ?? 1);
  }

  pipe(from: string, to: string, latency: Latency): Pipe {
    const pipe = new Pipe(this.#world, {
      latencyMs: () => this.latencyMs(from, to, latency),
      isCut: () => this.isCut(from, to),
      onClosed: () => void pipes.delete(pipe),
    });
    const direction = `${from} ${to}`;
    const pipes = this.#pipes.get(direction) ?? new Set();
    this.#pipes.set(direction, pipes);
    pipes.add(pipe);
    return pipe;
  }
}

interface Path {
  latencyMs(): number;
  isCut(): boolean;
  onClosed(): void;
}

export class Pipe {
  readonly #world: World;
  readonly #path: Path;
  readonly #parcels: Parcel[] = [];
  #lastDueMs = 0;
  #isPumping = false;
  #isClosed = false;

  constructor(world: World, path: Path) {
    this.#world = world;
    this.#path = path;
  }

  get isEmpty(): boolean {
    return this.#parcels.length === 0;
  }

  /** Arrives later, behind all that was sent before. */
  send(arrive: () => void): void {
    if (this.#isClosed) return;
    const dueMs = Math.max(this.#lastDueMs, this.#world.nowMs + this.#path.latencyMs());
    this.#lastDueMs = dueMs;
    this.#parcels.push({ dueMs, arrive });
    this.pump();
  }

  /** What is under way never arrives. */
  close(): void {
    this.#isClosed = true;
    this.#parcels.length = 0;
    this.#path.onClosed();
  }

  pump(): void {
    const next = this.#parcels[0];
    if (next === undefined || this.#isPumping || this.#path.isCut()) return;
    this.#isPumping = true;
    this.#world.after(next.dueMs - this.#world.nowMs, () => {
      this.#isPumping = false;
      if (!this.#path.isCut()) this.#parcels.shift()?.arrive();
      this.pump();
    });
  }
}
