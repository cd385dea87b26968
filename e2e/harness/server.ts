/** What the starters of all servers have in common. */
import { untilStopped } from "./lifetime.ts";
import type { Running } from "./process.ts";
import type { Scratch } from "./scratch.ts";

export interface ServerOptions {
  /** Keeps the data there after stop, and starts with what is there; a scratch folder if left out. */
  readonly dir?: string;
  /** File for its log; <dir>/<name>.log if left out. */
  readonly log?: string;
  /** Address to listen on; 127.0.0.1 if left out. */
  readonly address?: string;
  /** Network namespace to run in, a name under /run/netns. Readiness is then asked through `isUp`. */
  readonly netns?: string;
  /** Whether something listens on a port of the namespace; needed with `netns`. */
  readonly isUp?: (host: string, port: number) => Promise<boolean>;
}

export interface Server {
  /** The server's own process. */
  readonly pid: number;
  /** Resolves with how it ended. */
  readonly exited: Promise<string>;
  /** Ends it, and removes its data unless `dir` was given. */
  readonly stop: () => Promise<void>;
  /** SIGKILL: ends it as a power cut would. */
  readonly kill: () => Promise<void>;
  /** SIGSTOP: alive, connected and silent. */
  readonly pause: () => void;
  /** SIGCONT. */
  readonly resume: () => void;
}

/** The common part of a server's handle. Scratch data goes however the server ends. */
export function serverOf(running: Running, { isKept, remove }: Scratch): Server {
  const gone = running.exited.then(remove);
  const stop = untilStopped(async () => {
    if (!isKept) running.kill("SIGKILL"); // Nobody needs what it would still write.
    await running.stop();
    await gone;
  });
  return {
    pid: running.pid,
    exited: running.exited,
    stop,
    kill: () => {
      running.kill("SIGKILL");
      return stop();
    },
    pause: running.pause,
    resume: running.resume,
  };
}
