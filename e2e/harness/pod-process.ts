/** The processes of pods on this machine, seen from outside them. */
import { readdir, readFile } from "node:fs/promises";

async function isNodeOf(pid: string, pod: string): Promise<boolean> {
  try {
    const environment = await readFile(`/proc/${pid}/environ`, "utf8");
    if (!environment.split("\0").includes(`ZONDA_NODE_NAME=${pod}`)) return false;
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8");
    return command.split("\0").includes("serve");
  } catch {
    return false; // It ended, or is not ours to look at.
  }
}

/** SIGKILL to the node process of a pod: the end that no process sees coming. */
export async function killPodProcess(pod: string): Promise<void> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    if (!(await isNodeOf(pid, pod))) continue;
    process.kill(Number(pid), "SIGKILL");
    return;
  }
  throw new Error(`Cannot kill the node of pod ${pod}: its process is not on this machine`);
}
