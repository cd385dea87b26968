/** Waiting for a server that is starting: ask again until it answers, dies or is late. */
import type { Socket } from "node:net";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { isEnding } from "./lifetime.ts";

export interface Patience {
  /** What is awaited, for the error: "etcd". */
  readonly what: string;
  readonly deadlineMs: number;
  readonly everyMs?: number;
  /** Rejects when there is nothing left to wait for. */
  readonly unless?: Promise<never>;
}

/**
 * Resolves with the first answer that is not undefined. A question that throws is asked again.
 * @throws Error "Cannot start <what>: ..." after the deadline, with the last failure as its cause
 */
export async function waitFor<T>(
  ask: () => Promise<T | undefined>,
  { what, deadlineMs, everyMs = 100, unless }: Patience,
): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  let cause: unknown;
  while (performance.now() < deadline) {
    if (isEnding()) throw new Error(`Cannot start ${what}: this process is ending`);
    const question = ask().catch((error: unknown) => {
      cause = error;
      return undefined;
    });
    const answer = await (unless === undefined ? question : Promise.race([question, unless]));
    if (answer !== undefined) return answer;
    await sleep(everyMs);
  }
  const why = cause instanceof Error ? ` (${cause.message})` : "";
  throw new Error(`Cannot start ${what}: not ready within ${deadlineMs / 1000} s${why}`, { cause });
}

function answers(socket: Socket, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (isUp: boolean) => {
      socket.destroy();
      resolve(isUp);
    };
    socket.setTimeout(timeoutMs, () => settle(false));
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
  });
}

/** True when something listens there. */
export const isListening = (host: string, port: number, timeoutMs = 2_000): Promise<boolean> =>
  answers(connect({ host, port }), timeoutMs);

/** Until something listens on that port of loopback. @throws as `waitFor` does */
export async function untilListening(port: number, patience: Patience): Promise<void> {
  await waitFor(async () => (await isListening("127.0.0.1", port)) || undefined, patience);
}

/** True when something listens on the Unix socket. */
export const isUnixListening = (path: string, timeoutMs = 2_000): Promise<boolean> =>
  answers(connect({ path }), timeoutMs);
