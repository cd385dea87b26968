/** A Cassandra that is started again whenever it ends by itself, as Kubernetes or systemd does it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Cassandra, CassandraOptions } from "./cassandra.ts";
import { startCassandra } from "./cassandra.ts";
import { untilStopped } from "./lifetime.ts";
import { freePort } from "./ports.ts";

const PAUSE_MS = 1_000;

export type SupervisedOptions = CassandraOptions & Required<Pick<CassandraOptions, "dir" | "log">>;

/** Starts it on what is in `dir`, and again as long as it takes. */
export async function superviseCassandra(options: SupervisedOptions): Promise<Cassandra> {
  const settings = { ...options, port: options.port ?? (await freePort()) };
  let current = await startCassandra(settings);
  let isStopping = false;
  const keepUp = async () => {
    while (!isStopping) {
      await current.exited;
      await sleep(PAUSE_MS);
      if (!isStopping) current = await startCassandra(settings).catch(() => current);
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
