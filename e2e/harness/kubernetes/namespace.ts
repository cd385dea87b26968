/**
 * A network of its own for a whole Kubernetes: nothing leaks out, and ports never clash.
 * The kernel may lack the dummy device, so an unused bridge carries the node's address.
 */
import { readdir } from "node:fs/promises";
import { run } from "../run.ts";

/** Addresses inside every such network; no two networks see each other. */
export const NODE_ADDRESS = "172.30.0.10";
export const POD_RANGE = "10.244.0.0/16";
export const SERVICE_RANGE = "10.96.0.0/16";
/** The first address of the service range, always kubernetes.default.svc. */
export const API_SERVICE_ADDRESS = "10.96.0.1";

/** Folders and namespaces of runs begin with it. */
export const RUN_PREFIX = "zonda-kubernetes-";

/** Makes the namespace, with loopback, the node's address and a default route. */
export async function makeNamespace(name: string): Promise<void> {
  const commands = [
    "link set lo up",
    "link add node0 type bridge",
    `address add ${NODE_ADDRESS}/24 dev node0`,
    "link set node0 up",
    // Without any default route, packets for services are refused before they are rewritten.
    "route add default dev node0",
  ];
  await run("ip", ["netns", "add", name]);
  for (const command of commands) await run("ip", ["-n", name, ...command.split(" ")]);
  await run("sh", ["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"], { netns: name });
}

/** The names of all such namespaces on this machine. */
export async function namespaces(): Promise<readonly string[]> {
  const names = await readdir("/run/netns").catch(() => []);
  return names.filter((name) => name.startsWith(RUN_PREFIX));
}

/** Processes whose network this is; those in pods have another. */
export async function processesIn(name: string): Promise<readonly number[]> {
  const output = await run("ip", ["netns", "pids", name]).catch(() => "");
  return output.split("\n").filter(Boolean).map(Number);
}

/** Removes the namespace, if it is there. */
export async function removeNamespace(name: string): Promise<void> {
  if ((await namespaces()).includes(name)) await run("ip", ["netns", "delete", name]);
}
