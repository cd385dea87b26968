/** One node as a process of its own, the way `zonda serve` runs it. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";

const cli = path.join(import.meta.dirname, "../../node/cli.ts");
const STARTED_MS = 60_000;

export interface NodeProcess extends AsyncDisposable {
  readonly pid: number;
  readonly c2s: number;
  readonly http: number;
  /** Where a port for web clients is configured. */
  readonly web?: number;
  readonly incarnation: string;
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  kill(signal: NodeJS.Signals): void;
  /** What it has written so far, the newest 200 lines. */
  readonly lines: readonly string[];
}

export interface NodeProcessOptions {
  readonly config?: string;
  /** "dotted.path=value" */
  readonly sets: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  onLine?(line: string): void;
}

type Serving = Pick<NodeProcess, "c2s" | "http" | "web" | "incarnation">;

/** Resolves when the node serves. @throws with its last lines when it ends before. */
export async function startNodeProcess(options: NodeProcessOptions): Promise<NodeProcess> {
  const child = spawn(process.execPath, [cli, "serve", ...commandOptions(options)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...options.environment },
  });
  const lines: string[] = [];
  const serving = Promise.withResolvers<Serving>();
  const onLine = (line: string): void => {
    lines.push(line);
    if (lines.length > 200) lines.shift();
    options.onLine?.(line);
    if (line.includes('"msg":"serving"')) serving.resolve(JSON.parse(line) as never);
  };
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on("line", onLine);
  const ended = new Promise<number | string>((resolve) => {
    child.on("exit", (code, signal) => resolve(code ?? (signal as string)));
  });
  const late = setTimeout(
    () => serving.reject(failure(lines, `not in ${STARTED_MS} ms`)),
    STARTED_MS,
  );
  void ended.then((how) => serving.reject(failure(lines, `it ended with ${how}`)));
  try {
    return { ...(await serving.promise), ...handle(child, ended, lines) };
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  } finally {
    clearTimeout(late);
  }
}

const failure = (lines: readonly string[], why: string): Error =>
  new Error(`Cannot start a node: ${why}\n${lines.slice(-15).join("\n")}`);

const handle = (
  child: ChildProcess,
  ended: Promise<number | string>,
  lines: readonly string[],
) => ({
  pid: child.pid as number,
  ended,
  lines,
  kill: (signal: NodeJS.Signals) => void child.kill(signal),
  async [Symbol.asyncDispose]() {
    child.kill("SIGTERM");
    const killer = setTimeout(() => child.kill("SIGKILL"), 20_000);
    await ended;
    clearTimeout(killer);
  },
});

const commandOptions = ({
  config,
  sets,
}: Pick<NodeProcessOptions, "config" | "sets">): string[] => [
  ...(config === undefined ? [] : ["--config", config]),
  ...sets.flatMap((set) => ["--set", set]),
];

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the administrator's command to its end, with `input` on standard input. */
export function runCommand(args: readonly string[], input = ""): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [cli, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
    child.stdin?.end(input);
  });
}
