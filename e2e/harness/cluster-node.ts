/** One node process of a local cluster. */
import { chown, mkdir, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import type { KeyPair } from "../../node/config/certificates.ts";
import { issue } from "../../node/config/certificates.ts";
import { eachLine } from "./lines.ts";
import type { NodePlace, Shared } from "./node-settings.ts";
import { asSets, nodeSettings } from "./node-settings.ts";
import { startProcess } from "./process.ts";
import { waitFor } from "./wait.ts";

const CLI = path.join(import.meta.dirname, "..", "..", "node", "cli.ts");
/** The name every node's certificate carries: the default of mesh.serverName. */
const MESH_NAME = "node.zonda.internal";
const START_MS = 180_000;
/** More than the default of drain.deadlineSeconds, as the pods of the operator have. */
const GRACE_MS = 90_000;
const LINES_KEPT = 40;

export interface ClusterNode {
  readonly name: string;
  readonly pid: number;
  /** Port for XMPP clients. */
  readonly c2s: number;
  /** Port for health and metrics. */
  readonly http: number;
  /** Port for other nodes. */
  readonly mesh: number;
  /** The user it runs as. */
  readonly uid: number;
  /** Resolves with how it ended. */
  readonly exited: Promise<string>;
  readonly isRunning: () => boolean;
  /** SIGTERM lets it drain; SIGKILL ends it as a power cut would. Resolves when it is gone. */
  readonly kill: (signal: NodeJS.Signals) => Promise<void>;
  /** SIGSTOP: alive, connected and silent. */
  readonly pause: () => void;
  /** SIGCONT. */
  readonly resume: () => void;
}

export interface NodeStart {
  readonly place: NodePlace;
  readonly shared: Shared;
  /** Signs the node's mesh certificate. */
  readonly authority: KeyPair;
  readonly configFile: string;
  /** Further options: "c2s.tls=required". */
  readonly sets: readonly string[];
  readonly onLine: (node: string, line: string) => void;
  /** The user it runs as; ours if left out. */
  readonly uid?: number | undefined;
  /** A module that is loaded before the node. */
  readonly preload?: string | undefined;
}

/** Starts a node and resolves once it is ready. @throws Error with its last lines */
export async function startClusterNode(start: NodeStart): Promise<ClusterNode> {
  const { place, authority, onLine, uid, preload } = start;
  const { name, ports } = place;
  await mkdir(place.folder, { recursive: true });
  const pair = await issue(authority, { commonName: name, names: [MESH_NAME] });
  await writeFile(path.join(place.folder, "mesh.crt"), pair.certificate);
  await writeFile(path.join(place.folder, "mesh.key"), pair.key, { mode: 0o600 });
  if (uid !== undefined) await giveTo(uid, place.folder);
  const last: string[] = [];
  const listen = (line: string) => {
    last.push(line);
    if (last.length > LINES_KEPT) last.shift();
    onLine(name, line);
  };
  const running = await startProcess({
    name,
    command: process.execPath,
    args: [...(preload === undefined ? [] : ["--import", preload]), CLI, ...nodeArguments(start)],
    uid,
    graceMs: GRACE_MS,
    onChild: (child) => {
      eachLine(child.stdout, listen);
      eachLine(child.stderr, listen);
    },
  });
  const isReady = async () => {
    const url = `http://127.0.0.1:${ports.http}/readyz`;
    const { ok } = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    return ok || undefined;
  };
  const patience = { what: name, deadlineMs: START_MS, unless: running.failed };
  await waitFor(isReady, patience).catch(async (error: Error) => {
    await running.stop();
    throw new Error([error.message.trimEnd(), ...last].join("\n"), { cause: error });
  });
  return {
    name,
    pid: running.pid,
    c2s: ports.c2s,
    http: ports.http,
    mesh: ports.mesh,
    uid: uid ?? process.getuid?.() ?? 0,
    exited: running.exited,
    isRunning: running.isRunning,
    kill: async (signal) => {
      if (signal === "SIGTERM") return running.stop();
      running.kill(signal);
      await running.exited;
    },
    pause: running.pause,
    resume: running.resume,
  };
}

async function giveTo(uid: number, folder: string): Promise<void> {
  const files = (await readdir(folder)).map((file) => path.join(folder, file));
  await Promise.all([folder, ...files].map((file) => chown(file, uid, uid)));
}

const nodeArguments = ({ place, shared, configFile, sets }: NodeStart): readonly string[] => [
  "serve",
  "--config",
  configFile,
  ...asSets(nodeSettings(place, shared)),
  ...sets.flatMap((set) => ["--set", set]),
];
