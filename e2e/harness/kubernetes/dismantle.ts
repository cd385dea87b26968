/** Taking a run apart, in whatever state it is: ours at the end, or one whose owner died. */
import { readdir, readFile, readlink, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fingerprint, isAlive } from "../alive.ts";
import { withLock } from "../lock.ts";
import { run } from "../run.ts";
import { processesOf, removeCgroups } from "./cgroups.ts";
import { namespaces, processesIn, RUN_PREFIX, removeNamespace } from "./namespace.ts";

const OWNER_FILE = "owner";
/** A folder without an owner for this long was left by a run that died while it began. */
const ORPHAN_MS = 60_000;

/** Says that the run in `folder` is ours, so that nobody takes it for a leftover. */
export async function ownRun(folder: string): Promise<void> {
  await writeFile(path.join(folder, OWNER_FILE), (await fingerprint(process.pid)) ?? "");
}

function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It is gone already.
    }
  }
}

/** Kills what runs in pods, then whatever else is in the namespace, until there is nothing. */
async function endProcesses(name: string): Promise<void> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const pids = [...(await processesOf(name)), ...(await processesIn(name))];
    if (pids.length === 0) return;
    killAll(pids);
    await sleep(100);
  }
}

/** Mount points under a folder, those mounted last first. */
async function mountsUnder(folder: string): Promise<readonly string[]> {
  const table = await readFile("/proc/self/mountinfo", "utf8");
  return table
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((point) => point.startsWith(`${folder}/`))
    .reverse();
}

/** Ends all processes of a run and removes its mounts, cgroups, namespace and folder. */
export async function dismantle(folder: string): Promise<void> {
  const name = path.basename(folder);
  const sockets = await shimSockets(folder);
  await endProcesses(name);
  for (const point of await mountsUnder(folder)) {
    // Lazily: a process that is just dying may still be inside.
    await run("umount", ["--lazy", point]).catch(() => undefined);
  }
  await removeCgroups(name);
  await removeNamespace(name);
  await removeRecords(folder);
  for (const socket of sockets) await rm(socket, { force: true });
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

/** containerd puts the sockets of its shims into a place of the machine, and notes which. */
async function shimSockets(folder: string): Promise<readonly string[]> {
  const tasks = path.join(folder, "containerd-state", "io.containerd.runtime.v2.task", "k8s.io");
  const ids = await readdir(tasks).catch(() => []);
  const notes = ids.map((id) => readFile(path.join(tasks, id, "address"), "utf8").catch(() => ""));
  const addresses = await Promise.all(notes);
  return addresses.flatMap((address) =>
    address.startsWith("unix:///") ? address.slice("unix://".length).trim() : [],
  );
}

/** Network plugins and the kubelet remember pods in places of the machine, by our paths. */
async function removeRecords(folder: string): Promise<void> {
  const results = "/var/lib/cni/results";
  for (const name of await readdir(results).catch(() => [])) {
    const record = path.join(results, name);
    const text = await readFile(record, "utf8").catch(() => "");
    if (text.includes(`${folder}/`)) await rm(record, { force: true });
  }
  const links = "/var/log/containers";
  for (const name of await readdir(links).catch(() => [])) {
    const target = await readlink(path.join(links, name)).catch(() => "");
    if (target.startsWith(`${folder}/`)) await rm(path.join(links, name), { force: true });
  }
}

async function isLeftOver(folder: string): Promise<boolean> {
  try {
    return !(await isAlive(await readFile(path.join(folder, OWNER_FILE), "utf8")));
  } catch {
    const { mtimeMs } = await stat(folder).catch(() => ({ mtimeMs: Number.NEGATIVE_INFINITY }));
    return Date.now() - mtimeMs > ORPHAN_MS;
  }
}

/** Takes apart every run on this machine whose owner is dead. */
export const dismantleLeftovers = (): Promise<void> =>
  withLock("kubernetes-leftovers", async () => {
    const names = await readdir(tmpdir()).catch(() => []);
    const folders = names.filter((name) => name.startsWith(RUN_PREFIX));
    for (const name of new Set([...folders, ...(await namespaces())])) {
      const folder = path.join(tmpdir(), name);
      if (await isLeftOver(folder)) await dismantle(folder);
    }
  });
