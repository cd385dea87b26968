/** Everybody who chats, in pairs of people: they come, write to each other, and in the end some leave. */
import { setTimeout as sleep } from "node:timers/promises";
import type { World } from "./client.ts";
import { ChaosClient } from "./client.ts";

/** So many make their way in at once: more would only wait for each other, and give up. */
const ARRIVING_MAX = 50;
const START_TICK_MS = 100;
const SETTLE_MS = 1_000;
const SUBSCRIBE_MS = 5_000;
const PROGRESS_MS = 5_000;

export class Town {
  /** A client for each device of theirs. */
  readonly people: readonly ChaosClient[];
  readonly #devices: number;
  readonly #world: World;
  #ticker: NodeJS.Timeout | undefined;
  #writer: NodeJS.Timeout | undefined;

  /** @param clients so many; rounded down to pairs of people with so many devices each */
  constructor(clients: number, devices: number, world: World) {
    this.#world = world;
    this.#devices = devices;
    const pairs = Math.floor(clients / devices / 2);
    this.people = Array.from({ length: pairs * 2 * devices }, (_, index) => {
      const person = Math.floor(index / devices);
      const device = devices === 1 ? "" : `/${index % devices}`;
      return new ChaosClient({ name: `p${person}`, contact: `p${person ^ 1}`, device }, world);
    });
  }

  get online(): number {
    return this.people.filter(({ isOnline }) => isOnline).length;
  }

  /** Everybody makes an account, logs in, and each pair becomes contacts. */
  async arrive(onProgress: (online: number) => void, patienceMs: number): Promise<void> {
    const untilMs = this.#world.nowMs() + patienceMs;
    this.#ticker = setInterval(() => {
      for (const one of this.people) one.tick();
    }, 1_000);
    await this.#letIn(onProgress, untilMs);
    for (let lonely = this.#lonely; lonely.length > 0; lonely = this.#lonely) {
      if (this.#world.nowMs() > untilMs) {
        throw new Error(`Cannot begin: ${lonely.length} people see no contact`);
      }
      for (const one of lonely) one.subscribe(); // Again: a busy store may have refused the first.
      await sleep(SUBSCRIBE_MS);
    }
  }

  async #letIn(onProgress: (online: number) => void, untilMs: number): Promise<void> {
    const all = this.people.length;
    let started = 0;
    let toldMs = this.#world.nowMs();
    for (let online = 0; online < all; online = this.online) {
      const most = Math.min(all, online + ARRIVING_MAX);
      for (; started < most; started += 1) this.people[started]?.start();
      const nowMs = this.#world.nowMs();
      if (nowMs > untilMs) {
        const why = this.people.find(({ isOnline }) => !isOnline)?.lastFault;
        throw new Error(`Cannot begin: ${online} of ${all} came online: ${why}`);
      }
      if (nowMs - toldMs >= PROGRESS_MS) {
        onProgress(online);
        toldMs = nowMs;
      }
      await sleep(START_TICK_MS);
    }
  }

  /** Those who see nobody but themselves. */
  get #lonely(): readonly ChaosClient[] {
    return this.people.filter(({ seen }) => new Set([...seen.keys()].map(userOf)).size < 2);
  }

  /** Letters a second, by people drawn at random, until `rest`. */
  write(perSecond: number): void {
    const tickMs = 50;
    let owed = 0;
    this.#writer = setInterval(() => {
      owed += (perSecond * tickMs) / 1_000;
      for (; owed >= 1; owed -= 1) {
        const index = Math.floor(this.#world.fraction() * this.people.length);
        this.people[index]?.write();
      }
    }, tickMs);
  }

  rest(): void {
    clearInterval(this.#writer);
  }

  /** Waits until everybody is online and every letter has arrived, or the patience ends. */
  async settle(patienceMs: number): Promise<boolean> {
    const untilMs = this.#world.nowMs() + patienceMs;
    const { ledger } = this.#world;
    const isCalm = () =>
      this.online === this.people.length && ledger.underWay === 0 && ledger.unacknowledged === 0;
    while (!isCalm()) {
      if (this.#world.nowMs() > untilMs) return false;
      await sleep(SETTLE_MS);
    }
    return true;
  }

  /**
   * Every other pair's first leaves; then nobody may look available who is not. @returns the full
   * addresses that do, as "who sees whom"
   */
  async ghosts(patienceMs: number): Promise<readonly string[]> {
    const gone = new Set<string>();
    for (const [index, one] of this.people.entries()) {
      if (Math.floor(index / this.#devices) % 4 !== 0) continue;
      one.leave();
      gone.add(one.name);
    }
    const untilMs = this.#world.nowMs() + patienceMs;
    for (;;) {
      const found = this.#ghosts(gone);
      if (found.length === 0 || this.#world.nowMs() > untilMs) return found;
      await sleep(SETTLE_MS);
    }
  }

  #ghosts(gone: ReadonlySet<string>): readonly string[] {
    const found: string[] = [];
    for (const one of this.people) {
      if (gone.has(one.name)) continue;
      const available = new Map<string, string[]>();
      for (const [full, isAvailable] of one.seen) {
        const name = userOf(full);
        if (isAvailable) available.set(name, [...(available.get(name) ?? []), full]);
      }
      for (const [name, addresses] of available) {
        const most = gone.has(name) ? 0 : this.#devices;
        if (addresses.length > most) found.push(`${one.name} sees ${addresses.join(" and ")}`);
      }
    }
    return found;
  }

  leave(): void {
    clearInterval(this.#ticker);
    clearInterval(this.#writer);
    for (const one of this.people) one.leave();
  }
}

const userOf = (full: string): string => full.slice(0, full.indexOf("@"));
