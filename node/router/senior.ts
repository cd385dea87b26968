/**
 * The senior: one node of the cluster, for what one of them has to do. It is whoever holds the claim
 * of that name; all others watch who does, and try to take it over when nobody does.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Claim, Holder, NodeRecord, Routes } from "../routes/contract.ts";

/** A node as modules see it. */
export type ClusterNode = Pick<NodeRecord, "incarnation" | "name" | "version" | "zone">;

export interface Seniority {
  readonly node: ClusterNode;
  /** It is this node, and it can prove it. */
  readonly isSelf: boolean;
  /** Fences what it does: greater than that of every senior before. */
  readonly token: number;
}

const CLAIM = "senior";
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 10_000;

export interface SeniorParts {
  readonly routes: Pick<Routes, "self" | "nodes" | "claim" | "watchClaim">;
  readonly clock: Clock;
  readonly log: Logger;
  /** It is another one now; undefined: for the moment nobody is known to be. */
  readonly onChange: (senior: Seniority | undefined) => void;
}

export class Senior {
  readonly #parts: SeniorParts;
  #isRunning = false;
  #unwatch = () => {};
  #holder: Holder | undefined;
  #claim: Claim | undefined;
  #isAsking = false;
  #retry: Timer | undefined;
  #retryMs = RETRY_MIN_MS;
  #told: Seniority | undefined;

  constructor(parts: SeniorParts) {
    this.#parts = parts;
  }

  /** This node only while it can prove it; what is said of another may be a moment late. */
  get now(): Seniority | undefined {
    const { self, nodes } = this.#parts.routes;
    if (this.#claim?.isHeld === true) return { node: self, isSelf: true, token: this.#claim.token };
    if (this.#holder === undefined || this.#isOurs(this.#holder)) return undefined;
    const node = nodes.get(this.#holder.node);
    return node && { node, isSelf: false, token: this.#holder.token };
  }

  start(): void {
    this.#isRunning = true;
    this.#unwatch = this.#parts.routes.watchClaim(CLAIM, (holder) => {
      this.#holder = holder;
      this.#tell();
      if (holder === undefined) void this.#take();
    });
  }

  /** A node came or went: one that was named before it was known is known now. */
  nodesChanged(): void {
    this.#tell();
  }

  /** Makes room for another. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#unwatch();
    this.#retry?.cancel();
    const claim = this.#claim;
    this.#claim = undefined;
    await claim?.[Symbol.asyncDispose]();
    this.#tell();
  }

  async #take(): Promise<void> {
    if (this.#isAsking || !this.#isRunning || this.#claim !== undefined) return;
    this.#isAsking = true;
    this.#retry?.cancel();
    try {
      const claim = await this.#parts.routes.claim(CLAIM);
      if (claim !== undefined) await this.#taken(claim);
      else if (this.#isFree) this.#tryLater();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#parts.log.warn({ reason }, "cannot find out who is the senior yet");
      this.#tryLater();
    } finally {
      this.#isAsking = false;
    }
  }

  async #taken(claim: Claim): Promise<void> {
    if (!this.#isRunning) return await claim[Symbol.asyncDispose]();
    this.#claim = claim;
    this.#retryMs = RETRY_MIN_MS;
    claim.over.addEventListener("abort", () => this.#over(claim));
    if (claim.over.aborted) this.#over(claim);
    this.#tell();
  }

  #over(claim: Claim): void {
    if (this.#claim !== claim) return;
    this.#claim = undefined;
    this.#tell();
    this.#tryLater();
  }

  #tryLater(): void {
    const { clock } = this.#parts;
    this.#retry?.cancel();
    this.#retry = clock.after(this.#retryMs, () => {
      // Meanwhile it may be another's; then the watch has said so.
      if (this.#isFree) void this.#take();
    });
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
  }

  /** As far as is known; a claim that this node has lost may still be there for a while. */
  get #isFree(): boolean {
    return this.#holder === undefined || this.#isOurs(this.#holder);
  }

  #isOurs({ node }: Holder): boolean {
    return node === this.#parts.routes.self.incarnation;
  }

  #tell(): void {
    const { now } = this;
    if (now?.token === this.#told?.token) return;
    this.#told = now;
    this.#parts.log.info({ senior: now?.node.name, token: now?.token }, "senior changed");
    this.#parts.onChange(now);
  }
}
