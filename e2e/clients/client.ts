/** Starts a third-party client process and lets a test talk to it. */
import { type ChildProcess, spawn } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import type { ClientConfig, ClientEvent, Command } from "./contract.ts";
import { pythonWith } from "./python.ts";

export type Library = "slixmpp" | "xmpp.js";
type Of<E extends ClientEvent["event"]> = ClientEvent & { readonly event: E };

const UNTIL_MS = 60_000;
const ASK_MS = 1_000;

export class Client implements AsyncDisposable {
  readonly address: string;
  /** Everything the client said, in order. */
  readonly events: ClientEvent[] = [];
  readonly #process: ChildProcess;
  readonly #wakeups = new Set<() => void>();
  #errors = "";

  /** @param prefix words put before the command, to run it elsewhere (a network namespace). */
  static async start(
    library: Library,
    config: ClientConfig,
    prefix: readonly string[] = [],
  ): Promise<Client> {
    const program =
      library === "slixmpp"
        ? [await pythonWith("slixmpp"), path.join(import.meta.dirname, "slixmpp_client.py")]
        : [process.execPath, path.join(import.meta.dirname, "xmppjs-client.ts")];
    return new Client([...prefix, ...program, JSON.stringify(config)], config);
  }

  private constructor([command, ...args]: readonly string[], config: ClientConfig) {
    this.address = config.address;
    this.#process = spawn(command as string, args, {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, NODE_EXTRA_CA_CERTS: config.authority },
    });
    createInterface({ input: this.#process.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      this.events.push(JSON.parse(line) as ClientEvent);
      for (const wake of this.#wakeups) wake();
    });
    this.#process.stderr?.on("data", (data: Buffer) => {
      this.#errors = (this.#errors + data.toString()).slice(-4_000);
    });
    this.#process.on("exit", () => {
      for (const wake of this.#wakeups) wake();
    });
  }

  do(command: Command): void {
    this.#process.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  all<E extends ClientEvent["event"]>(event: E): readonly Of<E>[] {
    return this.events.filter((one) => one.event === event) as Of<E>[];
  }

  /** Bodies of received messages, in order of arrival. */
  get bodies(): readonly string[] {
    return this.all("message").map(({ body }) => body);
  }

  /** Ids of messages that it had to send again after a broken stream. */
  get resent(): readonly string[] {
    return this.all("resent").map(({ id }) => id);
  }

  /** Resolves when `holds` is true; checked after each event. @throws with the last events. */
  async until(what: string, holds: (client: Client) => boolean, ms = UNTIL_MS): Promise<void> {
    if (holds(this)) return;
    await new Promise<void>((resolve, reject) => {
      const settle = (error?: Error): void => {
        clearTimeout(timer);
        this.#wakeups.delete(wake);
        if (error === undefined) resolve();
        else reject(error);
      };
      const wake = (): void => {
        if (holds(this)) settle();
        else if (this.#process.exitCode !== null) settle(this.#failure(what, "the client ended"));
      };
      const timer = setTimeout(() => settle(this.#failure(what, `not in ${ms} ms`)), ms);
      this.#wakeups.add(wake);
    });
  }

  /** Until the server has acknowledged these messages; asks each second, as clients do not. */
  async untilAcknowledged(ids: readonly string[], ms?: number): Promise<void> {
    const asking = setInterval(() => this.do({ do: "ack" }), ASK_MS);
    const isDone = (): boolean => {
      const acknowledged = new Set(this.all("acked").map(({ id }) => id));
      return ids.every((id) => acknowledged.has(id));
    };
    await this.until(`acknowledgement of ${ids.length} messages`, isDone, ms).finally(() => {
      clearInterval(asking);
    });
  }

  /** Until it is logged in and its presence came back to it (RFC 6121, 4.2.2): it is reachable. */
  untilOnline = (ms?: number): Promise<void> =>
    this.until("online", ({ events }) => isReachable(events), ms);

  /** SIGSTOP: it reads nothing any more, and acknowledges nothing. */
  freeze(): void {
    this.#process.kill("SIGSTOP");
  }

  #failure(what: string, why: string): Error {
    const last = this.events.slice(-10).map((event) => JSON.stringify(event));
    return new Error(
      `${this.address} waited for ${what}: ${why}\n${last.join("\n")}\n${this.#errors}`,
    );
  }

  /** SIGKILL: it says good-bye to nobody. */
  async crash(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGKILL");
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.do({ do: "close" });
    const killer = setTimeout(() => this.#process.kill("SIGKILL"), 3_000);
    await ended;
    clearTimeout(killer);
  }
}

function isReachable(events: readonly ClientEvent[]): boolean {
  const told = new Set(["online", "resumed", "offline"]);
  const at = events.findLastIndex(({ event }) => told.has(event));
  const last = events[at];
  if (last?.event === "resumed") return true; // Its presence never went.
  if (last?.event !== "online") return false;
  return events
    .slice(Math.max(0, at - 5)) // The answer may be read before "online" is told.
    .some((one) => one.event === "presence" && one.sender === last.address);
}
