/** One child process: its log goes to a file, it can be paused, and it never outlives us. */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { statOf } from "./alive.ts";
import { commandLine } from "./command-line.ts";
import { isEnding, untilStopped } from "./lifetime.ts";

const GRACE_MS = 15_000;

export interface Launch {
  /** What it is, for errors: "etcd". */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** File its output is appended to; `onChild` takes over both streams when left out. */
  readonly log?: string;
  /** Network namespace to run in, a name under /run/netns; ours when left out. */
  readonly netns?: string | undefined;
  /** The user to run as; ourselves if left out. */
  readonly uid?: number | undefined;
  readonly environment?: Readonly<Record<string, string>>;
  readonly directory?: string;
  /** Called with the child as soon as it exists, to read its output. */
  readonly onChild?: (child: ChildProcess) => void;
  /** Wait this long between SIGTERM and SIGKILL. */
  readonly graceMs?: number;
}

export interface Running {
  readonly pid: number;
  /** Resolves with how it ended: "code 1" or "signal SIGKILL". */
  readonly exited: Promise<string>;
  /** Rejects when it ends before it was stopped, with the end of its log. Never resolves. */
  readonly failed: Promise<never>;
  readonly isRunning: () => boolean;
  readonly kill: (signal: NodeJS.Signals) => void;
  /** SIGSTOP: alive, connected and silent. */
  readonly pause: () => void;
  /** SIGCONT. */
  readonly resume: () => void;
  /** SIGTERM, then SIGKILL when that does not help; resolves when it is gone. */
  readonly stop: () => Promise<void>;
}

/** The last lines of a log, for an error. */
export function logTail(file: string | undefined, lines = 25): string {
  if (file === undefined) return "";
  try {
    return readFileSync(file, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  } catch {
    return "(no log)";
  }
}

function spawnChild(launch: Launch): ChildProcess {
  const [command = "", ...args] = commandLine(launch);
  const { log } = launch;
  if (log !== undefined) mkdirSync(path.dirname(log), { recursive: true });
  const output = log === undefined ? ("pipe" as const) : openSync(log, "a");
  const child = spawn(command, args, {
    cwd: launch.directory,
    env: { ...process.env, ...launch.environment },
    stdio: ["ignore", output, output],
    detached: true, // A terminal's Ctrl-C is for us: we decide the order in which things end.
  });
  if (typeof output === "number") closeSync(output);
  return child;
}

/** @throws Error "Cannot start <name>: ..." when the command does not exist */
export async function startProcess(launch: Launch): Promise<Running> {
  if (isEnding()) throw new Error(`Cannot start ${launch.name}: this process is ending`);
  const child = spawnChild(launch);
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (cause) =>
      reject(new Error(`Cannot start ${launch.name}: ${cause.message}`, { cause })),
    );
  });
  launch.onChild?.(child);
  return handleOf(child, launch);
}

/** Its threads stop one by one: until the last has, it may still answer. Ten seconds at most. */
function untilStill(pid: number): void {
  const tasks = `/proc/${pid}/task`;
  const isStill = (task: string) => "TtZX".includes(statOf(`${pid}/task/${task}`)?.[0] ?? "X");
  for (let look = 0; look < 10_000; look += 1) {
    if (!existsSync(tasks) || readdirSync(tasks).every(isStill)) return;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1); // A millisecond.
  }
}

function handleOf(child: ChildProcess, { name, log, graceMs = GRACE_MS }: Launch): Running {
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const kill = (signal: NodeJS.Signals) => {
    if (isRunning()) child.kill(signal);
  };
  const exited = new Promise<string>((resolve) => {
    child.once("exit", (code, signal) =>
      resolve(signal === null ? `code ${code}` : `signal ${signal}`),
    );
  });
  const failed = exited.then((how) => {
    throw new Error(`Cannot start ${name}: it ended with ${how}\n${logTail(log)}`);
  });
  failed.catch(() => undefined); // Only those who wait for it care.
  const stop = untilStopped(async () => {
    kill("SIGTERM");
    kill("SIGCONT"); // A paused process would not see the first signal.
    const timer = setTimeout(() => kill("SIGKILL"), graceMs);
    await exited;
    clearTimeout(timer);
  });
  void exited.then(stop); // Nothing is left to do for one that ended by itself.
  return {
    pid: child.pid as number,
    exited,
    failed,
    isRunning,
    kill,
    pause: () => {
      kill("SIGSTOP");
      untilStill(child.pid as number);
    },
    resume: () => kill("SIGCONT"),
    stop,
  };
}
