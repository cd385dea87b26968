/** Takes keys from the queue, a bounded number at once, and calls reconcile for each. */

import type { BackoffOptions } from "./backoff.ts";
import { KeyedBackoff } from "./backoff.ts";
import type { Clock, Random } from "./clock.ts";
import { deadline } from "./clock.ts";
import type { Controller, Key, Logger, Outcome, Reconcile } from "./contract.ts";
import { keyText, parseKey, Temporary, Terminal } from "./contract.ts";
import { WorkQueue } from "./queue.ts";

/** What a controller tells about itself. */
export interface ControllerMetrics {
  pass(controller: string, result: PassResult, seconds: number): void;
  queueDepth(controller: string, depth: number): void;
}

export type PassResult = "settled" | "requeued" | "temporary" | "terminal" | "failed" | "stopped";

export interface ControllerOptions {
  /** For logs and metrics. */
  readonly name: string;
  readonly reconcile: Reconcile;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: ControllerMetrics;
  /** Passes at once, each of another key. Default 4. */
  readonly parallelism?: number;
  /** When the signal of a pass fires. Default 60,000. */
  readonly deadlineMs?: number;
  /** Default 200 ms doubling to 5 minutes. */
  readonly backoff?: BackoffOptions;
}

const BACKOFF: BackoffOptions = { firstMs: 200, maxMs: 300_000 };

export function createController(options: ControllerOptions): Controller {
  return new QueueController(options);
}

class QueueController implements Controller {
  readonly #options: ControllerOptions;
  readonly #queue: WorkQueue;
  readonly #backoff: KeyedBackoff;
  readonly #stopping = new AbortController();
  readonly #passes = new Set<Promise<void>>();
  #isRunning = false;
  #isPumping = false;

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#queue = new WorkQueue(options.clock, () => this.#pumpSoon());
    this.#backoff = new KeyedBackoff(options.backoff ?? BACKOFF, options.random);
  }

  enqueue(key: Key): void {
    this.#queue.add(keyText(key));
  }

  enqueueAfter(key: Key, delayMs: number): void {
    this.#queue.addAfter(keyText(key), delayMs);
  }

  start(): void {
    this.#isRunning = !this.#stopping.signal.aborted;
    this.#pumpSoon();
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#queue.close();
    this.#stopping.abort(new Error("Cannot go on: the controller stops"));
    await Promise.all(this.#passes);
  }

  /** After what is going on now, so that an informer has told of everything it has just read. */
  #pumpSoon(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    queueMicrotask(() => {
      this.#isPumping = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#isRunning && this.#passes.size < (this.#options.parallelism ?? 4)) {
      const key = this.#queue.take();
      if (key === undefined) break;
      const pass = this.#pass(key).finally(() => {
        this.#passes.delete(pass);
        this.#queue.done(key);
        this.#pump();
      });
      this.#passes.add(pass);
    }
    this.#options.metrics.queueDepth(this.#options.name, this.#queue.depth);
  }

  /** One pass, from start to the decision when to come again. Never throws. */
  async #pass(key: string): Promise<void> {
    const { clock, deadlineMs = 60_000, metrics, name, reconcile } = this.#options;
    const startMs = clock.monotonicMs();
    const late = new Error(`Cannot finish the pass: ${deadlineMs} ms are over`);
    const limit = deadline(clock, deadlineMs, late, this.#stopping.signal);
    let result: PassResult;
    try {
      result = this.#settle(key, await reconcile(parseKey(key), limit.signal));
    } catch (error) {
      result = this.#fail(key, error);
    } finally {
      limit.end();
    }
    metrics.pass(name, result, (clock.monotonicMs() - startMs) / 1_000);
  }

  #settle(key: string, outcome: Outcome): PassResult {
    this.#backoff.forget(key);
    if (outcome.requeueAfterMs === undefined) return "settled";
    // Never at once: a reconcile that always asks for zero would spin.
    this.#queue.addAfter(key, Math.max(outcome.requeueAfterMs, 10));
    return "requeued";
  }

  #fail(key: string, error: unknown): PassResult {
    const log = this.#options.log.child({ controller: this.#options.name, key });
    if (this.#stopping.signal.aborted) return "stopped";
    if (error instanceof Terminal) {
      this.#backoff.forget(key);
      log.error({ err: error }, "reconcile.terminal");
      return "terminal";
    }
    if (error instanceof Temporary) {
      this.#queue.addAfter(key, Math.max(error.retryAfterMs, 10));
      log.info({ reason: error.message, retryAfterMs: error.retryAfterMs }, "reconcile.temporary");
      return "temporary";
    }
    const retryAfterMs = Math.max(this.#backoff.nextMs(key), askedMs(error));
    this.#queue.addAfter(key, retryAfterMs);
    log.warn(
      { err: error, failures: this.#backoff.failures(key), retryAfterMs },
      "reconcile.failed",
    );
    return "failed";
  }
}

/** What a server that is busy asked for. */
function askedMs(error: unknown): number {
  const { retryAfterSeconds } = (error ?? {}) as { readonly retryAfterSeconds?: unknown };
  return typeof retryAfterSeconds === "number" ? retryAfterSeconds * 1_000 : 0;
}
