/** Lets a test decide in which order things that take time come to pass, from one seed. */

interface Waiting {
  readonly resume: () => void;
  readonly isLive: () => boolean;
}

/** mulberry32: a small generator with a 32-bit seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

export class Weather {
  readonly fraction: () => number;
  readonly #waiting: Waiting[] = [];
  /** Calm weather: nothing waits longer than a turn. */
  isCalm: boolean;

  constructor(seed: number, isCalm = false) {
    this.fraction = seeded(seed);
    this.isCalm = isCalm;
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.fraction() * items.length)];
  }

  /** Something outside takes its time. For a node that died meanwhile it never ends. */
  wait(isLive: () => boolean = () => true): Promise<void> {
    if (this.isCalm) {
      return turn().then(() => (isLive() ? undefined : new Promise<void>(() => {})));
    }
    return new Promise((resume) => this.#waiting.push({ resume, isLive }));
  }

  /** Lets one waiting thing happen; false when there is none. */
  async step(): Promise<boolean> {
    await turn();
    const index = Math.floor(this.fraction() * this.#waiting.length);
    const [next] = this.#waiting.splice(index, 1);
    if (next === undefined) return false;
    if (next.isLive()) next.resume();
    await turn();
    return true;
  }

  /** Lets everything happen until nothing waits. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 3; ) idle = (await this.step()) ? 0 : idle + 1;
  }
}
