/** Programs that do with a library what clients do, and say what each step came to. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { pythonWith } from "./python.ts";
import { strictClient } from "./rust.ts";

export interface ScriptConfig {
  readonly domain: string;
  readonly password: string;
  readonly host: string;
  readonly port: number;
  /** Accounts that have been made for it, where it takes no fixed ones. */
  readonly names?: readonly string[];
  /** PEM file that the clients trust. */
  readonly authority: string;
  /** Before it breaks a connection it says its step "faults", and waits until `onStep` has seen to that. */
  readonly waits?: boolean;
  /** For a script that is a component, too: where and as whom. */
  readonly component?: { readonly domain: string; readonly secret: string; readonly port: number };
}

type Steps = [step: string, outcome: unknown][];
/** Called at each step; whoever `waits` goes on when it has resolved. */
type OnStep = (step: string) => Promise<void>;

/**
 * The steps of a Python script in order.
 * @param name of a file beside this one
 * @throws Error when it does not end well, whatever it said before
 */
export async function runScript(
  name: string,
  config: ScriptConfig,
  onStep?: OnStep,
): Promise<Steps> {
  const library = name.startsWith("aioxmpp") ? "aioxmpp" : "slixmpp";
  const words = [path.join(import.meta.dirname, name)];
  return stepsOf(await pythonWith(library), words, config, onStep);
}

let pairs = 0;

/** For aioxmpp_strict.py, which begins with empty rosters: others each time, so that it can be run once more. */
export function newNames(): readonly string[] {
  pairs += 1;
  return ["paris", "rosaline"].map((name) => `${name}-${pairs}`);
}

/** What aioxmpp_strict.py says where all is as its specification has it. */
export const AIOXMPP_AT_EASE: Steps = [
  ["roster", 0],
  ["contacts", true],
  ["heard in order", true],
  ["copied in order", true],
  ["answer", ["answer"]],
  ["pages", 2],
  ["history", true],
  ["faults", []],
  ["resumed", true],
  ["heard once", ["while away", "afterwards"]],
  ["heard from him", ["here again"]],
  ["faults of the rest", []],
];

/** The steps of the client in rust/, which is built when it is not there yet. @throws Error likewise */
export async function runStrictClient(config: ScriptConfig): Promise<Steps> {
  return stepsOf(await strictClient(), [], config);
}

async function stepsOf(
  command: string,
  words: readonly string[],
  config: ScriptConfig,
  onStep: OnStep = () => Promise.resolve(),
): Promise<Steps> {
  const program = spawn(command, [...words, JSON.stringify(config)], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, SSL_CERT_FILE: config.authority },
    timeout: 110_000,
  });
  const ended = once(program, "exit");
  const said: Steps = [];
  for await (const line of createInterface(program.stdout)) {
    const { step, outcome } = JSON.parse(line) as { step: string; outcome: unknown };
    said.push([step, outcome]);
    await onStep(step);
    if (config.waits && step === "faults") program.stdin.write("go on\n");
  }
  const [code, signal] = (await ended) as [number | null, NodeJS.Signals | null];
  if (code !== 0) {
    const end = signal === null ? `ended with code ${code}` : `was ended by ${signal}`;
    throw new Error(`${path.basename(words[0] ?? command)} ${end} after ${JSON.stringify(said)}`);
  }
  return said;
}
