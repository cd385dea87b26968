/** One leader among several operators, by a Lease. The rules are those of client-go: whether a
 * lease ran out is judged only by how long *we* have not seen it change, on our own monotonic
 * clock, never by comparing clocks. A leader that can not renew stops before anybody else may
 * start: it counts from before its last good request, others from after it, and its limit is the
 * shorter one. */

import type { Clock, Random } from "../loop/clock.ts";
import { deadline, delay } from "../loop/clock.ts";
import type { Logger } from "../loop/contract.ts";
import type { Key, Kube, KubeObject } from "./contract.ts";
import { isKubeError } from "./errors.ts";
import { microTime } from "./micro-time.ts";

export interface LeaderMetrics {
  leading(isLeading: boolean): void;
}

export interface LeaderOptions {
  /** Must be allowed to write while not leading. */
  readonly kube: Kube;
  readonly key: Key;
  /** Of this process alone: pod name and something random. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: LeaderMetrics;
  /** Begin to work; must not throw. The signal fires when leading ends. */
  readonly onStarted: (signal: AbortSignal) => void;
  /** Stop all work; resolve when it has ended. Only then is the lease given back or asked for
   * again. */
  readonly onStopped: () => Promise<void>;
  /** How long others wait for a silent leader. Default 15,000; whole seconds. */
  readonly leaseDurationMs?: number;
  /** When a leader that can not renew gives up. Default 10,000. */
  readonly renewDeadlineMs?: number;
  /** Default 2,000. */
  readonly retryPeriodMs?: number;
}

export interface LeaderElector {
  start(): void;
  /** Stops leading, waits for the work to end, then gives the lease back. */
  stop(): Promise<void>;
  /** True only while no other can lead. Cheap; ask before every write. */
  isLeading(): boolean;
}

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

interface Lease extends KubeObject {
  readonly spec?: LeaseSpec;
}

const LEASE = { apiVersion: "coordination.k8s.io/v1", kind: "Lease" } as const;

/** Throws when the times can not work: the deadline must end before the lease does. */
export function createLeaderElector(options: LeaderOptions): LeaderElector {
  return new LeaseElector(options);
}

class LeaseElector implements LeaderElector {
  readonly #options: LeaderOptions;
  readonly #leaseMs: number;
  readonly #renewMs: number;
  readonly #retryMs: number;
  readonly #stopping = new AbortController();
  /** The lease's words and when we first saw them. */
  #observed: { readonly words: string; readonly atMs: number } | undefined;
  /** Set while leading. */
  #term: AbortController | undefined;
  #leadUntilMs = 0;
  /** The end of the work of the last term. */
  #ending: Promise<void> = Promise.resolve();
  #isEnding = false;
  #loop: Promise<void> = Promise.resolve();

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#leaseMs = options.leaseDurationMs ?? 15_000;
    this.#renewMs = options.renewDeadlineMs ?? 10_000;
    this.#retryMs = options.retryPeriodMs ?? 2_000;
    const isOrdered = this.#retryMs * 1.2 < this.#renewMs && this.#renewMs < this.#leaseMs;
    if (!isOrdered || this.#leaseMs % 1_000 !== 0) {
      const times = `${this.#leaseMs}, ${this.#renewMs}, ${this.#retryMs} ms`;
      throw new Error(`Cannot elect a leader: lease, deadline and retry do not fit: ${times}`);
    }
  }

  start(): void {
    this.#options.metrics.leading(false);
    this.#loop = this.#run(this.#stopping.signal);
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error("Cannot lead: the operator stops"));
    this.#endTerm("stopped");
    await this.#loop;
    // Work that does not end keeps the lease: it may run out, but is not handed over.
    if (await this.#hasEnded()) await this.#release();
  }

  isLeading(): boolean {
    return this.#term !== undefined && this.#options.clock.monotonicMs() < this.#leadUntilMs;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#options;
    while (!signal.aborted) {
      try {
        if (this.#term === undefined) await this.#ending;
        await this.#attempt(signal);
      } catch (error) {
        if (!signal.aborted) log.warn({ err: error }, "leader.attempt-failed");
      }
      // Jitter, so that waiting operators do not all ask in the same moment.
      await delay(clock, this.#retryMs * (1 + 0.2 * random()), signal).catch(() => {});
    }
  }

  /** One look at the lease, and one try to take or renew it if it is ours or free. */
  async #attempt(outer: AbortSignal): Promise<void> {
    const { clock, kube, key } = this.#options;
    const startMs = clock.monotonicMs();
    // After a pause of the whole process its timers come late; others may have led meanwhile.
    if (startMs >= this.#leadUntilMs) this.#endTerm("the lease was not renewed in time");
    // Half of the deadline, so that one dead connection leaves time for a second try.
    const late = new Error("Cannot renew the lease: no answer in time");
    const limit = deadline(clock, this.#renewMs / 2, late, outer);
    try {
      const { signal } = limit;
      const lease = await kube.get<Lease>(LEASE.apiVersion, LEASE.kind, key, { signal });
      if (lease === undefined) {
        const created = await kube.create(this.#lease(undefined), { signal });
        if (created.kind === "created") this.#renewed(created.object, startMs);
        return;
      }
      this.#observe(lease);
      if (this.#isOthers(lease)) {
        this.#endTerm("another holds the lease");
        return;
      }
      this.#renewed(await kube.replace(this.#lease(lease), { signal }), startMs);
    } catch (error) {
      // Somebody was quicker. The next look will tell who.
      if (!isKubeError(error, "Conflict")) throw error;
    } finally {
      limit.end();
    }
  }

  #observe(lease: Lease): void {
    const words = JSON.stringify([lease.metadata.uid, lease.spec]);
    if (this.#observed?.words === words) return;
    this.#observed = { words, atMs: this.#options.clock.monotonicMs() };
  }

  #isOthers({ spec = {} }: Lease): boolean {
    const { holderIdentity = "", leaseDurationSeconds = this.#leaseMs / 1_000 } = spec;
    if (holderIdentity === "" || holderIdentity === this.#options.identity) return false;
    const untilMs = (this.#observed?.atMs ?? 0) + leaseDurationSeconds * 1_000;
    return this.#options.clock.monotonicMs() < untilMs;
  }

  /** The lease with us as its holder; the version of what was read guards the write. */
  #lease(current: Lease | undefined): Lease {
    const { key, identity, clock } = this.#options;
    const now = microTime(clock.nowMs());
    const isOurs = current?.spec?.holderIdentity === identity;
    const transitions = current?.spec?.leaseTransitions ?? 0;
    return {
      ...LEASE,
      metadata: current?.metadata ?? { name: key.name, namespace: key.namespace },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: this.#leaseMs / 1_000,
        acquireTime: isOurs ? (current.spec?.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions: current === undefined || isOurs ? transitions : transitions + 1,
      },
    };
  }

  #renewed(lease: Lease, startMs: number): void {
    this.#observe(lease);
    const { clock, identity, log, metrics, onStarted } = this.#options;
    this.#leadUntilMs = startMs + this.#renewMs;
    const leftMs = this.#leadUntilMs - clock.monotonicMs();
    if (this.#stopping.signal.aborted || leftMs <= 0) return;
    // The lease is ours, but the work of the last term still ends: the next attempt begins the new.
    if (this.#isEnding) return;
    const term = this.#term ?? new AbortController();
    if (this.#term === undefined) {
      this.#term = term;
      log.info({ identity }, "leader.started");
      metrics.leading(true);
      onStarted(term.signal);
    }
    const untilMs = this.#leadUntilMs;
    clock.after(leftMs, () => {
      const isCurrent = this.#term === term && this.#leadUntilMs === untilMs;
      if (isCurrent) this.#endTerm("the lease was not renewed in time");
    });
  }

  #endTerm(why: string): void {
    const term = this.#term;
    if (term === undefined) return;
    this.#term = undefined;
    const { identity, log, metrics, onStopped } = this.#options;
    log.warn({ identity, why }, "leader.stopped");
    metrics.leading(false);
    term.abort(new Error(`Cannot go on: ${why}`));
    this.#isEnding = true;
    this.#ending = (async () => onStopped())()
      .catch((error: unknown) => {
        log.error({ err: error }, "leader.stop-failed");
      })
      .finally(() => {
        this.#isEnding = false;
      });
  }

  /** True if the work of the term ended before the lease runs out. */
  async #hasEnded(): Promise<boolean> {
    const waited = delay(this.#options.clock, this.#renewMs).then(() => false);
    return await Promise.race([this.#ending.then(() => true), waited]);
  }

  /** Gives the lease back, so that the next leader need not wait. Failing is harmless. */
  async #release(): Promise<void> {
    const { kube, key, identity, clock, log } = this.#options;
    const limit = deadline(
      clock,
      this.#renewMs / 2,
      new Error("Cannot release: no answer in time"),
    );
    try {
      const { signal } = limit;
      const lease = await kube.get<Lease>(LEASE.apiVersion, LEASE.kind, key, { signal });
      if (lease?.spec?.holderIdentity !== identity) return;
      const now = microTime(clock.nowMs());
      const { leaseTransitions = 0 } = lease.spec;
      const spec = {
        holderIdentity: "",
        leaseDurationSeconds: 1,
        renewTime: now,
        leaseTransitions,
      };
      await kube.replace({ ...lease, spec }, { signal });
    } catch (error) {
      log.info({ err: error }, "leader.release-failed");
    } finally {
      limit.end();
    }
  }
}
