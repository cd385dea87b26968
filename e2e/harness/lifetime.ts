/**
 * What must end when this process ends: last started, first stopped, on SIGINT, SIGTERM, SIGHUP.
 * A process killed outright runs none of it; its children die with it all the same (process.ts).
 */
import { constants } from "node:os";

type Ending = () => Promise<void>;

const endings: Ending[] = [];
/** Stops that have begun, by whomever, and are not done. */
const underWay = new Set<Promise<void>>();
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
let ending: Promise<void> | undefined;
let wasTold = false;

/** A signal told this process to end: nothing new may be started. */
export const isEnding = (): boolean => wasTold;

async function runAll(): Promise<void> {
  while (endings.length > 0 || underWay.size > 0) {
    try {
      await (endings.pop()?.() ?? Promise.race(underWay));
    } catch (error) {
      process.stderr.write(`Cannot clean up: ${(error as Error).message}\n`);
    }
  }
}

/** Stops everything that was started and not yet stopped, newest first. */
export function endAll(): Promise<void> {
  ending ??= runAll().finally(() => {
    ending = undefined;
  });
  return ending;
}

/** Runs a program of the command line: what fails is said in one line, and all it started ends. */
export async function runProgram(main: () => Promise<void>): Promise<never> {
  try {
    await main();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  } finally {
    await endAll();
  }
  process.exit();
}

function onSignal(signal: (typeof SIGNALS)[number]): void {
  if (ending !== undefined) return; // Impatience must not leave mounts behind.
  wasTold = true;
  // What was just starting now fails, because we end it: that must not cut the end short.
  process.on("uncaughtException", () => undefined);
  void endAll().then(() => process.exit(128 + constants.signals[signal]));
}

function track(stopping: Promise<void>): Promise<void> {
  const done = stopping.finally(() => underWay.delete(done));
  underWay.add(done);
  return done;
}

/**
 * Registers `stop` to run when this process is told to end.
 * @returns the same stop, which runs once however often it is called, and is then forgotten
 */
export function untilStopped(stop: Ending): Ending {
  if (process.listenerCount("SIGTERM", onSignal) === 0) {
    for (const signal of SIGNALS) process.on(signal, onSignal);
  }
  let stopped: Promise<void> | undefined;
  const once = (): Promise<void> => {
    stopped ??= track(stop());
    const index = endings.indexOf(once);
    if (index >= 0) endings.splice(index, 1);
    return stopped;
  };
  endings.push(once);
  return once;
}
