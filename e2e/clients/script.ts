/** A Python script that does with slixmpp what clients do, and says what each step came to. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { pythonWithSlixmpp } from "./python.ts";

export interface ScriptConfig {
  readonly domain: string;
  readonly password: string;
  readonly host: string;
  readonly port: number;
  /** PEM file that the clients trust. */
  readonly authority: string;
  /** For a script that is a component, too: where and as whom. */
  readonly component?: { readonly domain: string; readonly secret: string; readonly port: number };
}

/** The steps in order, as [step, outcome]. @param name of a file beside this one */
export async function runScript(name: string, config: ScriptConfig): Promise<[string, unknown][]> {
  const words = [path.join(import.meta.dirname, name), JSON.stringify(config)];
  const script = spawn(await pythonWithSlixmpp(), words, {
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 90_000,
  });
  const ended = once(script, "exit");
  const said: [string, unknown][] = [];
  for await (const line of createInterface(script.stdout)) {
    const { step, outcome } = JSON.parse(line) as { step: string; outcome: unknown };
    said.push([step, outcome]);
  }
  await ended;
  return said;
}
