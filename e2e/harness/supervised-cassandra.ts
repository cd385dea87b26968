/** A Cassandra that is started again whenever it ends by itself, as Kubernetes or systemd does it. */
import { open, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cassandra, CassandraOptions } from "./cassandra.ts";
import { startCassandra } from "./cassandra.ts";
import { untilStopped } from "./lifetime.ts";
import { freePort } from "./ports.ts";

const PAUSE_MS = 1_000;

export type SupervisedOptions = CassandraOptions & Required<Pick<CassandraOptions, "dir" | "log">>;

/** Starts it on what is in `dir`, and again as long as it takes. */
export async function superviseCassandra(options: SupervisedOptions): Promise<Cassandra> {
  const settings = { ...options, isShortLived: true, port: options.port ?? (await freePort()) };
  let current = await startCassandra(settings);
  let isStopping = false;
  const keepUp = async () => {
    while (!isStopping) {
      await current.exited;
      await sleep(PAUSE_MS);
      if (!isStopping) current = await startAgain(settings).catch(() => current);
    }
  };
  const keeping = keepUp();
  const end = (how: "stop" | "kill") => async () => {
    isStopping = true;
    await current[how]();
    await keeping;
    await current.stop(); // One that was just being started.
  };
  return {
    cqlPort: current.cqlPort,
    datacenter: current.datacenter,
    get pid() {
      return current.pid;
    },
    get exited() {
      return keeping.then(() => "stopped");
    },
    stop: untilStopped(end("stop")),
    kill: end("kill"),
    pause: () => current.pause(),
    resume: () => current.resume(),
  };
}

async function startAgain(settings: SupervisedOptions): Promise<Cassandra> {
  await removeUnbegun(path.join(settings.dir, "commitlog"));
  return await startCassandra(settings);
}

/**
 * Removes segments of the commit log that were made when nothing could be written: they begin with
 * zeros instead of their version, hold nothing, and Cassandra does not start with one of them.
 */
async function removeUnbegun(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const segment = path.join(folder, name);
    if (!(await hasBegun(segment))) await rm(segment);
  }
}

async function hasBegun(segment: string): Promise<boolean> {
  await using file = await open(segment);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(4));
  return bytesRead === 4 && buffer.readInt32BE() !== 0;
}
