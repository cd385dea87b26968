/** The stores in memory for all nodes: slow, failing, and losing the answers of successful writes. */
import { pbkdf2Sync } from "node:crypto";
import { digest, hmac } from "../../node/auth/hashes.ts";
import { Unavailable } from "../../node/base/errors.ts";
import { MemoryStores } from "../../node/modules/testing/memory-stores.ts";
import type { Credentials, ScramKeys, Stores } from "../../node/stores/contract.ts";
import type { Network } from "./network.ts";
import type { Place } from "./wire.ts";
import type { World } from "./world.ts";

const LATENCY = { leastMs: 0.5, mostMs: 6 };
export const STORE = "store";
const TIMEOUT_MS = 2_000;
export const PASSWORD = "secret";

/** How the store is today. */
export interface StoreHealth {
  /** Chance that a call fails before anything is done. */
  failures: number;
  /** Chance that a call is done, and nobody hears of it. */
  lostReplies: number;
  /** It answers nothing. */
  isAway: boolean;
}

/** Of a message. */
export const idOf = (bytes: Buffer): string => / id='([^']+)'/.exec(bytes.toString())?.[1] ?? "?";

const HASHES = { "SCRAM-SHA-1": ["sha1", 20], "SCRAM-SHA-256": ["sha256", 32] } as const;

/** One round: what guards passwords is not what is simulated. */
function keysOf([hash, length]: (typeof HASHES)[keyof typeof HASHES]): ScramKeys {
  const salt = Buffer.from("of the simulation");
  const salted = pbkdf2Sync(PASSWORD, salt, 1, length, hash);
  const storedKey = digest(hash, hmac(hash, salted, "Client Key"));
  return { salt, iterations: 1, storedKey, serverKey: hmac(hash, salted, "Server Key") };
}

const CREDENTIALS: Credentials = {
  "SCRAM-SHA-1": keysOf(HASHES["SCRAM-SHA-1"]),
  "SCRAM-SHA-256": keysOf(HASHES["SCRAM-SHA-256"]),
};

export class SimStore {
  readonly memory: MemoryStores;
  /** Some call has failed in this story. */
  hasFailed = false;
  readonly health: StoreHealth = { failures: 0, lostReplies: 0, isAway: false };
  readonly #world: World;
  readonly #network: Network;

  constructor(world: World, network: Network) {
    this.#world = world;
    this.#network = network;
    const startMs = Date.UTC(2026, 0, 1);
    this.memory = new MemoryStores({ wait: async () => {} }, () => startMs + world.nowMs);
  }

  addUser(user: string): void {
    this.memory.users.set(user, CREDENTIALS);
  }

  /** Messages that wait for somebody. */
  storedIds(): ReadonlySet<string> {
    const users = [...this.memory.offline.keys()];
    return new Set(
      users.flatMap((user) => this.memory.storedFor(user).map(({ bytes }) => idOf(bytes))),
    );
  }

  /** As one node reaches it. */
  of(place: Place): Stores {
    const stores = this.memory.of(
      () => true,
      () => this.#way(place),
    );
    const { offline } = stores;
    const tell = (what: string) => this.#world.say(`${place.machine} ${what}`);
    return {
      ...stores,
      offline: {
        async add(user, message, messagesMax) {
          tell(`stores ${idOf(message.bytes)} for ${user}`);
          return await offline.add(user, message, messagesMax);
        },
        list: offline.list,
        async remove(user, ids) {
          tell(`removes ${ids.length} stored messages of ${user}`);
          await offline.remove(user, ids);
        },
      },
    };
  }

  /** To the store before the work, and back from it: what fails on the way back is done. */
  #way(place: Place): Promise<void> {
    place.step();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const isLost = this.#world.isSo((this.health.failures + this.health.lostReplies) / 2);
    this.hasFailed ||= isLost;
    if (isLost) this.#world.fault("store-call-lost", `a call of ${place.machine}`);
    const pipe = this.#network.pipe(place.machine, STORE, LATENCY);
    let isOver = false;
    const settle = (how: () => void) => {
      if (isOver) return;
      isOver = true;
      pipe.close();
      place.enter(how);
    };
    this.#world.after(TIMEOUT_MS, () => {
      if (!isOver) this.hasFailed = true;
      settle(() => reject(new Unavailable("store-timeout", "Cannot ask the store: no answer")));
    });
    const arrive = () => {
      if (!this.health.isAway) settle(resolve);
    };
    if (!isLost) pipe.send(arrive);
    return promise;
  }
}
