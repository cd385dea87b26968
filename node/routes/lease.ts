/**
 * The node's one lease. Everything the node has in etcd hangs on it, and the node acts for others
 * only while it can prove that it holds it: until the time it *sent* the last answered keepalive,
 * plus the lease's time to live, minus a margin. At that moment it gives itself up, before etcd can.
 */
import type { ILeaseKeepAliveRequest, ILeaseKeepAliveResponse } from "etcd3";
import type { Clock, Timer } from "../base/clock.ts";
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { EtcdClient } from "./client.ts";
import { hangUp } from "./client.ts";

export interface LeaseOptions {
  readonly leases: EtcdClient["leaseClient"];
  readonly ttlSeconds: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Put everything on this lease; the lease counts as held once it resolves. */
  readonly publish: (leaseId: string) => Promise<void>;
  /** What was put on a lease may be gone, be it while everything is published again. */
  readonly onUnproven: () => void;
  /** It cannot be proven any more. */
  readonly onLost: () => void;
  /** A new one is held, and everything is published again. */
  readonly onRegained: () => void;
}

type Stream = Awaited<ReturnType<EtcdClient["leaseClient"]["leaseKeepAlive"]>>;

const BACKOFF_MIN_MS = 200;
const BACKOFF_MAX_MS = 5_000;
const MARGIN_MIN_MS = 250;

const lostLease = () =>
  new Unavailable("routes-lost-lease", "Cannot write to etcd: this node has no lease");
const lostMeanwhile = () =>
  new Unavailable("routes-lost-lease", "Cannot publish: the lease was lost meanwhile");

export class LeaseKeeper {
  readonly #options: LeaseOptions;
  #leaseId: string | undefined;
  /** The lease we lost: given back after its keys have moved to the new one. */
  #previous: string | undefined;
  #provenUntilMs = 0;
  #isHeld = false;
  /** Ends the wait for what is being published, which may itself wait for a lease. */
  #stopPublishing: (reason: Unavailable) => void = () => {};
  #isStopped = false;
  #ttlMs: number;
  #stream: Stream | undefined;
  /** When each keepalive that is not answered yet was sent on the stream. */
  #sentMs: number[] = [];
  #deadline: Timer | undefined;
  #tick: Timer | undefined;
  #retry: Timer | undefined;
  #backoffMs = BACKOFF_MIN_MS;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#ttlMs = options.ttlSeconds * 1_000;
  }

  get isHeld(): boolean {
    return this.#isHeld && this.#options.clock.monotonicMs() < this.#provenUntilMs;
  }

  /** Of this lease; "" when it is not held. */
  get tenure(): string {
    return this.isHeld ? (this.#leaseId ?? "") : "";
  }

  /** Whether what was put on this lease is still safe on it, be everything published or not. */
  isCurrent(leaseId: string): boolean {
    return leaseId === this.#leaseId && this.#options.clock.monotonicMs() < this.#provenUntilMs;
  }

  /** @throws Unavailable "routes-lost-lease" */
  get id(): string {
    if (!this.isHeld) throw lostLease();
    return this.provenId;
  }

  /**
   * What can be written to already, be everything published or not: for what others may wait for to be published.
   * @throws Unavailable "routes-lost-lease"
   */
  get provenId(): string {
    if (this.#leaseId === undefined || !this.isCurrent(this.#leaseId)) throw lostLease();
    return this.#leaseId;
  }

  /** The first lease, published. @throws whatever kept it from that */
  async start(): Promise<void> {
    await this.#grant();
    await this.#publish();
  }

  /** etcd said that it knows no such lease. */
  onGone(): void {
    if (this.#isHeld) this.#lose("etcd does not know it");
    else this.#doubt(); // While publishing again: the next attempt takes a new one.
  }

  /** Asks etcd whether it knows the lease still; if not, this node knows that from then on. Never rejects. */
  async check(): Promise<void> {
    const leaseId = this.#leaseId;
    const isGone = await this.#isUnknown(leaseId).catch(() => false);
    if (isGone && leaseId === this.#leaseId && !this.#isStopped) this.onGone();
  }

  /** Whether etcd knows no such lease. @throws what keeps it from saying so */
  async #isUnknown(leaseId: string | undefined): Promise<boolean> {
    const { TTL } = await this.#options.leases.leaseTimeToLive({ ID: leaseId ?? "0" });
    return Number(TTL) <= 0;
  }

  #doubt(): void {
    this.#provenUntilMs = 0;
    this.#options.onUnproven();
    this.#stopPublishing(lostMeanwhile());
  }

  /** Gives the lease back: everything on it vanishes at once. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#isHeld = false;
    for (const timer of [this.#deadline, this.#tick, this.#retry]) timer?.cancel();
    this.#dropStream();
    if (this.#leaseId !== undefined) await this.#revoke(this.#leaseId);
  }

  async #revoke(leaseId: string): Promise<void> {
    const { leases, log } = this.#options;
    await leases.leaseRevoke({ ID: leaseId }).catch((error: Error) => {
      log.warn({ reason: error.message }, "lease not given back; it lapses by itself");
    });
  }

  async #grant(): Promise<void> {
    const { leases, clock, ttlSeconds } = this.#options;
    const sentMs = clock.monotonicMs();
    const { ID, TTL } = await leases.leaseGrant({ TTL: ttlSeconds });
    if (this.#leaseId !== undefined) this.#doubt(); // Nothing is on the new one yet.
    this.#previous = this.#leaseId;
    this.#leaseId = ID;
    this.#ttlMs = Number(TTL) * 1_000;
    this.#prove(sentMs);
    this.#dropStream();
    this.#keepAlive();
  }

  async #publish(): Promise<void> {
    const { publish, log } = this.#options;
    const leaseId = this.#leaseId ?? "";
    const { promise: unproven, reject } = Promise.withResolvers<never>();
    this.#stopPublishing = reject;
    await Promise.race([publish(leaseId), unproven]);
    if (this.#isStopped) return;
    if (!this.isCurrent(leaseId)) throw lostMeanwhile();
    this.#isHeld = true;
    this.#backoffMs = BACKOFF_MIN_MS;
    log.info({ lease: leaseId, ttlMs: this.#ttlMs }, "lease held");
    const previous = this.#previous;
    this.#previous = undefined;
    // Others find the sessions here already: whoever is told that they are back does not wait for this.
    if (previous !== undefined) void this.#revoke(previous);
  }

  #prove(sentMs: number): void {
    const marginMs = Math.max(MARGIN_MIN_MS, this.#ttlMs / 10);
    this.#provenUntilMs = Math.max(this.#provenUntilMs, sentMs + this.#ttlMs - marginMs);
    this.#deadline?.cancel();
    const { clock } = this.#options;
    const leftMs = this.#provenUntilMs - clock.monotonicMs();
    this.#deadline = clock.after(Math.max(0, leftMs), () => {
      if (this.#isHeld) this.#lose("etcd has not answered in time");
      else this.#doubt();
    });
  }

  #lose(reason: string): void {
    this.#isHeld = false;
    this.#doubt();
    this.#deadline?.cancel();
    this.#tick?.cancel();
    this.#dropStream();
    this.#options.log.error({ reason }, "lease lost");
    this.#options.onLost();
    this.#regainLater();
  }

  #regainLater(): void {
    if (this.#isStopped) return;
    this.#retry?.cancel();
    this.#retry = this.#options.clock.after(this.#backoffMs, () => void this.#regain());
    this.#backoffMs = Math.min(this.#backoffMs * 2, BACKOFF_MAX_MS);
  }

  async #regain(): Promise<void> {
    try {
      const isProven = this.#options.clock.monotonicMs() < this.#provenUntilMs;
      if (!isProven) await this.#grant();
      if (this.#isStopped) {
        if (this.#leaseId !== undefined) await this.#revoke(this.#leaseId);
        return;
      }
      await this.#publish();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.log.warn({ reason }, "lease not regained yet");
      this.#regainLater();
      return;
    }
    if (!this.#isStopped) this.#options.onRegained();
  }

  /** A keepalive now, and again after a third of the time to live. */
  #keepAlive(): void {
    if (this.#isStopped) return;
    const { clock } = this.#options;
    this.#tick?.cancel();
    this.#tick = clock.after(this.#ttlMs / 3, () => this.#keepAlive());
    // An answer that is missing after a third of the time: this connection may be dead.
    if (this.#sentMs.length > 0) this.#dropStream();
    if (this.#stream === undefined) void this.#openStream();
    else this.#send(this.#stream);
  }

  #send(stream: Stream): void {
    this.#sentMs.push(this.#options.clock.monotonicMs());
    const request: ILeaseKeepAliveRequest = { ID: this.#leaseId ?? "0" };
    stream.write(request);
  }

  async #openStream(): Promise<void> {
    const { leases, log } = this.#options;
    const leaseId = this.#leaseId;
    try {
      // Only a plain call renews an expired login, and it tells at once whether the lease is alive.
      const isUnknown = await this.#isUnknown(leaseId);
      if (leaseId !== this.#leaseId || this.#isStopped || this.#stream !== undefined) return;
      if (isUnknown) {
        this.onGone();
        return;
      }
      const stream = await leases.leaseKeepAlive();
      stream.on("error", (error) => this.#onStreamOver(stream, error.message));
      stream.on("end", () => this.#onStreamOver(stream, "etcd ended it"));
      stream.on("data", (answer) => this.#onAnswer(stream, answer));
      if (leaseId !== this.#leaseId || this.#isStopped || this.#stream !== undefined) {
        hangUp(stream);
        return;
      }
      this.#stream = stream;
      this.#sentMs = [];
      this.#send(stream);
    } catch (error) {
      log.warn({ reason: error instanceof Error ? error.message : String(error) }, "no keepalive");
      this.#keepAliveSoon();
    }
  }

  #onAnswer(stream: Stream, { TTL }: ILeaseKeepAliveResponse): void {
    if (stream !== this.#stream) return;
    const sentMs = this.#sentMs.shift(); // Answers come in the order of the questions.
    if (Number(TTL) <= 0) {
      this.onGone();
      return;
    }
    if (sentMs === undefined) return;
    this.#ttlMs = Number(TTL) * 1_000;
    this.#prove(sentMs);
  }

  #onStreamOver(stream: Stream, reason: string): void {
    if (stream !== this.#stream) return;
    this.#options.log.warn({ reason }, "keepalive stream lost");
    this.#dropStream();
    this.#keepAliveSoon();
  }

  #keepAliveSoon(): void {
    if (this.#isStopped || this.#provenUntilMs === 0) return;
    this.#tick?.cancel();
    this.#tick = this.#options.clock.after(BACKOFF_MIN_MS, () => this.#keepAlive());
  }

  #dropStream(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#sentMs = [];
    if (stream !== undefined) hangUp(stream);
  }
}
