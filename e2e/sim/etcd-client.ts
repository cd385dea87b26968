/** One node's client of the model: late, cut off, and with answers that get lost. */
import { EventEmitter } from "node:events";
import type { ILeaseKeepAliveRequest, IWatchRequest } from "etcd3";
import { GRPCDeadlineExceededError } from "etcd3";
import type { Clock } from "../../node/base/clock.ts";
import type { EtcdClient } from "../../node/routes/client.ts";
import type { EtcdModel } from "./etcd-model.ts";
import type { Network, Pipe } from "./network.ts";
import type { Place } from "./wire.ts";
import type { World } from "./world.ts";

const LATENCY = { leastMs: 1, mostMs: 8 };
/** etcd gives up what it could not do in this time. */
const HELD_MAX_MS = 7_000;
export const ETCD = "etcd";

/** How etcd is today. */
export interface EtcdHealth {
  /** Chance that an answer gets lost after the work was done. */
  lostReplies: number;
  /** It takes nothing. */
  isAway: boolean;
}

export interface EtcdPath {
  readonly world: World;
  readonly network: Network;
  readonly model: EtcdModel;
  readonly health: EtcdHealth;
  readonly place: Place;
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
}

/** A stream in both directions, in order. */
class Stream extends EventEmitter {
  readonly #path: EtcdPath;
  readonly #there: Pipe;
  readonly #back: Pipe;
  isOver = false;
  onWritten: (item: unknown) => void = () => {};
  onOver: () => void = () => {};

  constructor(path: EtcdPath) {
    super();
    const { network, place } = path;
    this.#path = path;
    this.#there = network.pipe(place.machine, ETCD, LATENCY);
    this.#back = network.pipe(ETCD, place.machine, LATENCY);
  }

  write(item: unknown): void {
    this.#path.place.step();
    this.#there.send(() => {
      if (!this.isOver && !this.#path.health.isAway) this.onWritten(item);
    });
  }

  answer(item: unknown): void {
    this.#back.send(() => this.#path.place.enter(() => this.emit("data", item)));
  }

  /** The connection broke. */
  break(): void {
    if (this.isOver) return;
    this.#finish();
    this.#path.place.enter(() => this.emit("error", new Error("UNAVAILABLE: read ECONNRESET")));
  }

  end(): void {}

  cancel(): void {
    if (!this.isOver) this.#finish();
  }

  #finish(): void {
    this.isOver = true;
    this.#there.close();
    this.#back.close();
    this.onOver();
  }
}

export class SimEtcdClient {
  readonly #path: EtcdPath;
  readonly #streams = new Set<Stream>();

  constructor(path: EtcdPath) {
    this.#path = path;
  }

  /** All connections to etcd break. */
  breakStreams(): void {
    for (const stream of [...this.#streams]) stream.break();
  }

  /** With the face of the real one. */
  get face(): EtcdClient {
    const { model } = this.#path;
    const face = {
      kv: {
        range: (request: never) => this.#call(() => model.range(request)),
        put: (request: never) => this.#call(() => model.put(request)),
        txn: (request: never) => this.#call(() => model.txn(request)),
      },
      leaseClient: {
        leaseGrant: ({ TTL }: { TTL: number }) => this.#call(() => model.grant(TTL)),
        leaseRevoke: ({ ID }: { ID: string }) =>
          this.#call(() => {
            if (!model.revoke(ID)) throw new Error("etcdserver: requested lease not found");
            return {};
          }),
        leaseTimeToLive: ({ ID }: { ID: string }) =>
          this.#call(() => ({ ID, TTL: model.timeToLive(ID) })),
        leaseKeepAlive: async () => this.#keepAlive(),
      },
      watchClient: { watch: async () => this.#watch() },
      close: () => this.breakStreams(),
    };
    return face as unknown as EtcdClient;
  }

  /** One request and its answer; each takes its own way, so they overtake each other. */
  #call<T>(work: () => T): Promise<T> {
    const { world, network, health, place, clock, requestTimeoutMs } = this.#path;
    place.step();
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const timer = clock.after(requestTimeoutMs, () =>
      reject(new GRPCDeadlineExceededError("DEADLINE_EXCEEDED: the simulation says so")),
    );
    const back = network.pipe(ETCD, place.machine, LATENCY);
    const answer = (settle: () => void) => {
      if (world.isSo(health.lostReplies)) {
        world.fault("etcd-reply-lost", `an answer to ${place.machine}`);
        back.close();
        return;
      }
      back.send(() => {
        back.close();
        place.enter(() => {
          timer.cancel();
          settle();
        });
      });
    };
    const sentMs = world.nowMs;
    const there = network.pipe(place.machine, ETCD, LATENCY);
    there.send(() => {
      there.close();
      if (health.isAway || world.nowMs - sentMs > HELD_MAX_MS) return;
      try {
        const result = work();
        answer(() => resolve(result));
      } catch (error) {
        answer(() => reject(error as Error));
      }
    });
    return promise;
  }

  #open(): Stream {
    const stream = new Stream(this.#path);
    this.#streams.add(stream);
    return stream;
  }

  #keepAlive(): Stream {
    const { model } = this.#path;
    const stream = this.#open();
    stream.onWritten = (item) => {
      const { ID = "0" } = item as ILeaseKeepAliveRequest;
      stream.answer({ ID, TTL: model.keepAlive(String(ID)) });
    };
    stream.onOver = () => void this.#streams.delete(stream);
    return stream;
  }

  #watch(): Stream {
    const { model } = this.#path;
    const stream = this.#open();
    let stop = () => {};
    stream.onWritten = (item) => {
      const { create_request } = item as IWatchRequest;
      if (create_request?.key === undefined || create_request.range_end === undefined) return;
      const { key, range_end } = create_request;
      let next = Number(create_request.start_revision);
      const tell = () => {
        const kept = model.since(next, key, range_end);
        next = model.revision + 1;
        const events = kept.map(({ event }) => event);
        if (events.length > 0) {
          stream.answer({ header: model.header, created: false, canceled: false, events });
        }
      };
      stream.answer({ header: model.header, created: true, canceled: false, events: [] });
      tell();
      stop = model.watch(tell);
    };
    stream.onOver = () => {
      stop();
      this.#streams.delete(stream);
    };
    return stream;
  }
}
