/** Running a command to its end. */
import { execFile } from "node:child_process";
import { commandLine } from "./command-line.ts";

export interface RunOptions {
  readonly directory?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Written to its standard input. */
  readonly input?: string;
  readonly timeoutMs?: number;
  /** Network namespace to run in, a name under /run/netns. */
  readonly netns?: string | undefined;
}

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** @returns what it printed. @throws Error with the end of what it complained about */
export function run(
  command: string,
  args: readonly string[],
  { directory, environment, input, timeoutMs = 600_000, netns }: RunOptions = {},
): Promise<string> {
  const [file = "", ...rest] = commandLine({ command, args, netns });
  return new Promise((resolve, reject) => {
    const options = {
      cwd: directory,
      env: { ...process.env, ...environment },
      maxBuffer: OUTPUT_BYTES_MAX,
      timeout: timeoutMs,
    };
    const child = execFile(file, rest, options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const why = (stderr || stdout || error.message).trimEnd().split("\n").slice(-25).join("\n");
      const late = error.killed === true ? ` within ${timeoutMs / 1000} s` : "";
      const message = `Cannot run ${command} ${args.slice(0, 4).join(" ")}${late}: ${why}`;
      reject(new Error(message, { cause: error }));
    });
    child.stdin?.on("error", () => undefined); // It may end without reading.
    child.stdin?.end(input ?? "");
  });
}
