/** Events (events.k8s.io/v1): what `kubectl describe` shows. Written in the background; a repeat
 * only raises a count, a flood about one object is dropped, and no failure reaches the caller. */
import { createHash } from "node:crypto";
import type { Clock } from "../loop/clock.ts";
import { deadline } from "../loop/clock.ts";
import type { Logger } from "../loop/contract.ts";
import type { EventRecord, EventRecorder, Kube, KubeObject } from "./contract.ts";
import { isKubeError } from "./errors.ts";
import { microTime } from "./micro-time.ts";

export interface EventMetrics {
  /** An event was not written: the object has too many, the queue is full, or the server
   * refused. */
  eventDropped(why: "flood" | "full" | "refused"): void;
}

export interface EventOptions {
  readonly kube: Kube;
  /** Who reports: "zonda.example/operator". */
  readonly controller: string;
  /** Which of them: the pod's name. */
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: EventMetrics;
}

/** An event on its way or written, which repeats are added to. */
interface Series {
  readonly event: KubeObject & Readonly<Record<string, unknown>>;
  readonly id: string;
  count: number;
  lastMs: number;
  /** How much of the count the server knows; 0: the event itself is not there. */
  writtenCount: number;
  writtenMs: number;
  isQueued: boolean;
}

interface Bucket {
  tokens: number;
  filledMs: number;
}

const SERIES_MAX = 1_000;
/** A pause of so long begins a new event. */
const SERIES_IDLE_MS = 6 * 60_000;
/** A count is written at most so often. */
const COUNT_EVERY_MS = 60_000;
const QUEUE_MAX = 256;
const DEADLINE_MS = 10_000;
/** Per object: 25 different events at once, then one in five minutes, as client-go has it. */
const BURST = 25;
const REFILL_MS = 300_000;
/** Bytes. */
const NOTE_MAX = 1_024;
/** What still waits at the end gets so long. */
const STOP_MS = 5_000;

export function createEventRecorder(
  options: EventOptions,
): EventRecorder & { stop(): Promise<void> } {
  return new QueuedRecorder(options);
}

class QueuedRecorder implements EventRecorder {
  readonly #options: EventOptions;
  /** In order of last use, so that the first is the one to forget. */
  readonly #series = new Map<string, Series>();
  readonly #buckets = new Map<string, Bucket>();
  readonly #queue: Series[] = [];
  #writing: Promise<void> | undefined;
  readonly #over = new AbortController();
  #isStopped = false;

  constructor(options: EventOptions) {
    this.#options = options;
  }

  record(event: EventRecord): void {
    if (this.#isStopped) return;
    const nowMs = this.#options.clock.monotonicMs();
    const id = identity(event);
    let series = this.#series.get(id);
    if (series === undefined || nowMs - series.lastMs > SERIES_IDLE_MS) {
      if (!this.#admit(event, nowMs)) return;
      series = this.#begin(id, event, nowMs);
    } else {
      series.count += 1;
      series.lastMs = nowMs;
    }
    this.#series.delete(id);
    this.#series.set(id, series);
    forgetOldest(this.#series, SERIES_MAX);
    this.#plan(series);
  }

  /** Takes no more, and writes what waits as far as a few seconds allow. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    const late = new Error("Cannot write the event: the operator stops");
    const timer = this.#options.clock.after(STOP_MS, () => this.#over.abort(late));
    await this.#writing;
    timer.cancel();
  }

  #admit({ regarding }: EventRecord, nowMs: number): boolean {
    const owner = regarding.metadata.uid ?? regarding.metadata.name;
    const bucket = this.#buckets.get(owner) ?? { tokens: BURST, filledMs: nowMs };
    const earned = Math.floor((nowMs - bucket.filledMs) / REFILL_MS);
    bucket.tokens = Math.min(BURST, bucket.tokens + earned);
    bucket.filledMs += earned * REFILL_MS;
    this.#buckets.delete(owner);
    this.#buckets.set(owner, bucket);
    forgetOldest(this.#buckets, SERIES_MAX);
    if (bucket.tokens < 1) {
      this.#options.metrics.eventDropped("flood");
      return false;
    }
    bucket.tokens -= 1;
    return true;
  }

  #begin(id: string, record: EventRecord, nowMs: number): Series {
    const { clock, controller, instance } = this.#options;
    const { regarding, type, reason, action, note } = record;
    const { name, namespace, uid } = regarding.metadata;
    const wallMs = clock.nowMs();
    // Neither two operators nor two series of one millisecond may meet in a name.
    const suffix = createHash("sha256")
      .update(`${id} ${instance} ${wallMs}`)
      .digest("hex")
      .slice(0, 16);
    const event = {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      // Events about cluster-scoped objects live in "default".
      metadata: { name: `${name.slice(0, 200)}.${suffix}`, namespace: namespace ?? "default" },
      eventTime: microTime(wallMs),
      reportingController: controller,
      reportingInstance: instance.slice(0, 128),
      action: action.slice(0, 128),
      reason: reason.slice(0, 128),
      type,
      note: cut(note),
      regarding: { apiVersion: regarding.apiVersion, kind: regarding.kind, name, namespace, uid },
    };
    const times = { lastMs: nowMs, writtenMs: nowMs };
    return { id, event, count: 1, writtenCount: 0, isQueued: false, ...times };
  }

  #plan(series: Series): void {
    if (series.isQueued || series.writtenCount >= series.count) return;
    const { clock, metrics } = this.#options;
    const sinceMs = clock.monotonicMs() - series.writtenMs;
    if (series.writtenCount > 0 && sinceMs < COUNT_EVERY_MS) {
      series.isQueued = true;
      clock.after(COUNT_EVERY_MS - sinceMs, () => {
        series.isQueued = false;
        this.#plan(series);
      });
      return;
    }
    if (this.#queue.length >= QUEUE_MAX) {
      metrics.eventDropped("full");
      return;
    }
    series.isQueued = true;
    this.#queue.push(series);
    this.#writing ??= this.#write();
  }

  /** One after the other, until none waits. Never throws. */
  async #write(): Promise<void> {
    for (let series = this.#queue.shift(); series !== undefined; series = this.#queue.shift()) {
      const { count } = series;
      series.writtenMs = this.#options.clock.monotonicMs();
      const late = new Error("Cannot write the event: no answer in time");
      const limit = deadline(this.#options.clock, DEADLINE_MS, late, this.#over.signal);
      try {
        await this.#send(series, count, limit.signal);
        series.writtenCount = count;
      } catch (error) {
        this.#series.delete(series.id); // A later repeat starts afresh.
        this.#options.metrics.eventDropped("refused");
        this.#options.log.debug({ err: error }, "event.refused");
        continue;
      } finally {
        limit.end();
        series.isQueued = false;
      }
      if (!this.#isStopped) this.#plan(series); // Repeats that came meanwhile.
    }
    this.#writing = undefined;
  }

  async #send(series: Series, count: number, signal: AbortSignal): Promise<void> {
    const { clock, kube } = this.#options;
    if (series.writtenCount === 0) await kube.create(series.event, { signal });
    if (count < 2) return;
    const agoMs = clock.monotonicMs() - series.lastMs;
    const lastObservedTime = microTime(clock.nowMs() - agoMs);
    try {
      await kube.patch(series.event, { series: { count, lastObservedTime } }, { signal });
    } catch (error) {
      // Events live an hour; a long series outlives its event.
      if (!isKubeError(error, "NotFound")) throw error;
      this.#series.delete(series.id);
    }
  }
}

/** Events that tell the same about the same object are one series. */
function identity({ regarding, type, reason, action, note }: EventRecord): string {
  const { uid, name, namespace } = regarding.metadata;
  const about = [regarding.kind, namespace, name, uid];
  return createHash("sha256")
    .update(JSON.stringify([about, type, reason, action, note]))
    .digest("base64");
}

function cut(note: string): string {
  const bytes = Buffer.from(note);
  if (bytes.length <= NOTE_MAX) return note;
  // A character that was cut in two becomes U+FFFD, which goes too.
  const kept = bytes.subarray(0, NOTE_MAX - 3).toString("utf8");
  return `${kept.replace(/\uFFFD$/, "")}…`;
}

function forgetOldest(map: Map<string, unknown>, max: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= max) return;
    map.delete(oldest);
  }
}
