/** A real Cassandra of one node, from its Maven jars, for tests and for `npm run cluster`. */
import { readFileSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { cached } from "./cache.ts";
import type { CassandraSettings, CommitLog } from "./cassandra-config.ts";
import { cassandraYaml, javaArguments, LOGBACK } from "./cassandra-config.ts";
import { java } from "./java.ts";
import { freePort } from "./ports.ts";
import { startProcess } from "./process.ts";
import { run } from "./run.ts";
import { scratch } from "./scratch.ts";
import type { Server, ServerOptions } from "./server.ts";
import { serverOf } from "./server.ts";
import { find, MAVEN, requireTools } from "./tools.ts";
import { isListening, waitFor } from "./wait.ts";

export interface CassandraOptions extends ServerOptions {
  /** Size of the Java heap; 1024 if left out. The process takes about 500 MB more. */
  readonly heapMb?: number;
  /** "periodic" if left out; "batch" for tests that kill it and count what is left. */
  readonly commitLog?: CommitLog;
  /** For one that is started again and again: soon as fast as it gets, if not as fast as it could be. */
  readonly isShortLived?: boolean;
  /** CQL port; a free one if left out. */
  readonly port?: number;
}

export interface Cassandra extends Server {
  readonly cqlPort: number;
  /** What drivers call the local datacenter. */
  readonly datacenter: string;
}

const DATACENTER = "datacenter1"; // What SimpleSnitch calls every node's.
const START_MS = 600_000;

/** Fetches Cassandra's jars unless they are in the cache. @returns the folder with the jars */
export function cassandraJars(): Promise<string> {
  const pom = path.join(import.meta.dirname, "build", "cassandra", "pom.xml");
  return cached({
    name: "cassandra",
    about: "Cassandra 5.0.6 (about a minute the first time)",
    inputs: [readFileSync(pom)],
    make: async (folder) => {
      await requireTools([MAVEN]);
      const goal = ["dependency:copy-dependencies", "-DincludeScope=runtime"];
      const args = ["-q", "-B", "-f", pom, ...goal, `-DoutputDirectory=${folder}`];
      await run(find("mvn") ?? "mvn", args, { timeoutMs: 1_200_000 });
    },
  });
}

/** Starts Cassandra and resolves once it takes CQL. @throws Error with the end of its log */
export async function startCassandra(options: CassandraOptions = {}): Promise<Cassandra> {
  const jars = await cassandraJars();
  const program = await java();
  const { address = "127.0.0.1", netns, isUp = isListening } = options;
  const place = await scratch("cassandra", options.dir);
  const { folder } = place;
  const cqlPort = options.port ?? (await freePort());
  const storagePort = await freePort();
  const { heapMb = 1024, commitLog = "periodic", isShortLived = false } = options;
  const settings = { folder, address, cqlPort, storagePort, heapMb, commitLog, isShortLived };
  await writeSettings(settings);
  const jamm = (await readdir(jars)).find((name) => name.startsWith("jamm-")) ?? "";
  const running = await startProcess({
    name: "Cassandra",
    command: program,
    args: javaArguments(settings, jars, jamm),
    log: options.log ?? path.join(folder, "cassandra.log"),
    netns,
  });
  const server = serverOf(running, place);
  try {
    const ask = async () => (await isUp(address, cqlPort)) || undefined;
    const patience = { what: "Cassandra", deadlineMs: START_MS, everyMs: 200 };
    await waitFor(ask, { ...patience, unless: running.failed });
  } catch (error) {
    await server.stop();
    throw error;
  }
  return { ...server, cqlPort, datacenter: DATACENTER };
}

async function writeSettings(settings: CassandraSettings): Promise<void> {
  const { folder } = settings;
  await mkdir(path.join(folder, "tmp"), { recursive: true });
  await writeFile(path.join(folder, "cassandra.yaml"), cassandraYaml(settings));
  await writeFile(path.join(folder, "logback.xml"), LOGBACK);
}
