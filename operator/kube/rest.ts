/** HTTP to the API server: JSON in, JSON out, or a stream of JSON lines. Every call has a deadline
 * and a bound on what it reads, and fails with a KubeError only. */

import type { Dispatcher } from "undici";
import { request } from "undici";
import type { Clock } from "../loop/clock.ts";
import { deadline } from "../loop/clock.ts";
import type { Access } from "./access.ts";
import { decodeError, KubeError } from "./errors.ts";

export interface RestMetrics {
  /** `code`: the HTTP status, or the reason there was none. */
  request(verb: string, kind: string, code: string, seconds: number): void;
}

export interface RestCall {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  /** Of the body; JSON if absent. */
  readonly contentType?: string;
  /** What is done, to what kind, and the object's name: for messages and metrics. */
  readonly verb: string;
  readonly kind: string;
  readonly name?: string;
  readonly signal?: AbortSignal | undefined;
  /** Default 30,000. For `lines`: until the answer starts. */
  readonly deadlineMs?: number;
}

const DEADLINE_MS = 30_000;
/** One page of a list of large objects; a single object is at most 3 MiB. */
const BODY_BYTES_MAX = 64 * 2 ** 20;
const LINE_BYTES_MAX = 8 * 2 ** 20;

export class Rest {
  readonly #access: Access;
  readonly #clock: Clock;
  readonly #metrics: RestMetrics;
  readonly #userAgent: string;

  constructor(access: Access, clock: Clock, metrics: RestMetrics, userAgent: string) {
    this.#access = access;
    this.#clock = clock;
    this.#metrics = metrics;
    this.#userAgent = userAgent;
  }

  /** One request, one parsed answer. */
  async json<T>(call: RestCall): Promise<T> {
    const limit = this.#limit(call);
    const observe = this.#observer(call);
    try {
      const answer = await this.#send(call, limit.signal);
      const text = await readText(call, answer.body);
      if (answer.statusCode >= 300) throw refusal(call, answer, text);
      observe(String(answer.statusCode));
      return parse<T>(call, text);
    } catch (error) {
      throw this.#explain(call, error, limit.signal, observe);
    } finally {
      limit.end();
    }
  }

  /** The answer line by line, as a watch sends it. Ends when the server ends it; throws when the
   * connection breaks or when nothing at all came for `idleMs`, which is how a half-open
   * connection shows. Leaving the loop early closes the connection. */
  async *lines(
    call: RestCall,
    idleMs: number,
    onOpen?: () => void,
  ): AsyncGenerator<unknown, void, void> {
    const limit = this.#limit(call);
    const observe = this.#observer(call);
    const silence = new AbortController();
    const signal = AbortSignal.any([limit.signal, silence.signal]);
    let idle = this.#clock.after(idleMs, () => {});
    const touch = () => {
      idle.cancel();
      idle = this.#clock.after(idleMs, () => silence.abort(silent(call, idleMs)));
    };
    try {
      const answer = await this.#send(call, signal);
      if (answer.statusCode >= 300) {
        throw refusal(call, answer, await readText(call, answer.body));
      }
      limit.disarm();
      observe(String(answer.statusCode));
      touch();
      onOpen?.();
      for await (const line of splitLines(call, answer.body, touch)) yield parse(call, line);
    } catch (error) {
      throw this.#explain(call, error, signal, observe);
    } finally {
      idle.cancel();
      limit.end();
      silence.abort(); // Closes the connection if the reader left early.
    }
  }

  async #send(call: RestCall, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    if (signal.aborted) throw signal.reason;
    const { headers, dispatcher } = await this.#access.credentials();
    const url = new URL(this.#access.server + call.path);
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, value);
    }
    const body = call.body === undefined ? null : JSON.stringify(call.body);
    const type = body === null ? {} : { "content-type": call.contentType ?? "application/json" };
    return await request(url, {
      dispatcher,
      method: call.method,
      headers: { ...headers, ...type, accept: "application/json", "user-agent": this.#userAgent },
      body,
      signal,
    });
  }

  /** The deadline until the answer (`disarm` lifts it, the caller's signal stays). */
  #limit(call: RestCall): { signal: AbortSignal; disarm(): void; end(): void } {
    const deadlineMs = call.deadlineMs ?? DEADLINE_MS;
    const late = new KubeError(`Cannot ${what(call)}: no answer in ${deadlineMs} ms`, {
      status: 0,
      reason: "DeadlineExceeded",
    });
    const outer = new AbortController();
    const onAbort = () => outer.abort(call.signal?.reason);
    if (call.signal?.aborted) onAbort();
    call.signal?.addEventListener("abort", onAbort, { once: true });
    const inner = deadline(this.#clock, deadlineMs, late);
    return {
      signal: AbortSignal.any([outer.signal, inner.signal]),
      disarm: () => inner.end(),
      end() {
        inner.end();
        call.signal?.removeEventListener("abort", onAbort);
      },
    };
  }

  #observer(call: RestCall): (code: string) => void {
    const startMs = this.#clock.monotonicMs();
    let isDone = false; // A watch counts once, when it opens or fails to.
    return (code) => {
      if (isDone) return;
      isDone = true;
      const seconds = (this.#clock.monotonicMs() - startMs) / 1_000;
      this.#metrics.request(call.verb, call.kind, code, seconds);
    };
  }

  /** Turns whatever happened into one KubeError and counts it. */
  #explain(
    call: RestCall,
    error: unknown,
    signal: AbortSignal,
    observe: (code: string) => void,
  ): KubeError {
    const cause = signal.aborted ? signal.reason : error;
    const known = cause instanceof KubeError ? cause : unanswered(call, cause, signal.aborted);
    observe(known.status === 0 ? known.reason : String(known.status));
    return known;
  }
}

function what(call: RestCall): string {
  return `${call.verb} ${call.kind}${call.name === undefined ? "" : ` ${call.name}`}`;
}

function refusal(call: RestCall, answer: Dispatcher.ResponseData, text: string): KubeError {
  return decodeError(what(call), answer.statusCode, text, answer.headers["retry-after"]);
}

function silent(call: RestCall, idleMs: number): KubeError {
  const message = `Cannot ${what(call)}: nothing came for ${idleMs} ms`;
  return new KubeError(message, { status: 0, reason: "DeadlineExceeded" });
}

function unanswered(call: RestCall, cause: unknown, isAborted: boolean): KubeError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const reason = isAborted ? "Aborted" : "Unreachable";
  return new KubeError(`Cannot ${what(call)}: ${why}`, { status: 0, reason, cause });
}

function badAnswer(call: RestCall, why: string, cause?: unknown): KubeError {
  return new KubeError(`Cannot ${what(call)}: ${why}`, { status: 0, reason: "BadAnswer", cause });
}

function parse<T>(call: RestCall, text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw badAnswer(call, "the answer is not JSON", cause);
  }
}

async function readText(call: RestCall, body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw badAnswer(call, `more than ${BODY_BYTES_MAX} bytes came`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Splits on bytes, so that a character cut by a packet stays whole. An unfinished last line is a
 * cut connection and is dropped: the next watch starts after the last whole one. */
async function* splitLines(
  call: RestCall,
  body: AsyncIterable<Buffer>,
  onData: () => void,
): AsyncGenerator<string, void, void> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    onData();
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      const line = Buffer.concat([...parts, chunk.subarray(start, end)]).toString("utf8");
      parts = [];
      bytes = 0;
      start = end + 1;
      if (line.trim() !== "") yield line;
    }
    if (start < chunk.length) parts.push(chunk.subarray(start));
    bytes += chunk.length - start;
    if (bytes > LINE_BYTES_MAX)
      throw badAnswer(call, `a line has more than ${LINE_BYTES_MAX} bytes`);
  }
}
