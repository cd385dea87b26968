/**
 * A real Kubernetes of one node, in a network namespace of its own: etcd, API server, controllers,
 * scheduler, containerd, kubelet, kube-proxy and CoreDNS, each a plain process. Needs root.
 */
import { mkdir, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { startEtcd } from "../etcd.ts";
import { untilStopped } from "../lifetime.ts";
import { logTail } from "../process.ts";
import { progress } from "../progress.ts";
import type { RunOptions } from "../run.ts";
import { run } from "../run.ts";
import { requireTools } from "../tools.ts";
import type { Image } from "../tools-image.ts";
import { toolsImage } from "../tools-image.ts";
import { waitFor } from "../wait.ts";
import { corednsProgram, helmProgram, kubernetesPrograms, NODE_TOOLS } from "./binaries.ts";
import { startApiServer, startControllers, startScheduler } from "./control-plane.ts";
import { dismantle, dismantleLeftovers, ownRun } from "./dismantle.ts";
import { API_PORT, makeIdentity, NODE_NAME } from "./identity.ts";
import { makeNamespace, NODE_ADDRESS, RUN_PREFIX } from "./namespace.ts";
import { importImage, prepareNode, startContainerd, startNode } from "./node.ts";
import type { Site } from "./parts.ts";
import { logOf } from "./parts.ts";
import { startTunnel } from "./tunnel.ts";

export interface Kubernetes {
  /** Path of the administrator's kubeconfig; works from outside the namespace. */
  readonly kubeconfig: string;
  /** Name of the network namespace, for `startProcess({ netns })` and the servers' starters. */
  readonly netns: string;
  /** The node's address: servers started in the namespace on it are reached by pods. */
  readonly nodeAddress: string;
  /** Logs of all parts, one file each. */
  readonly logs: string;
  /** Runs kubectl as administrator. @returns what it printed */
  readonly kubectl: (args: readonly string[], options?: CommandOptions) => Promise<string>;
  /** Runs helm as administrator; builds it first, if need be. @returns what it printed */
  readonly helm: (args: readonly string[], options?: CommandOptions) => Promise<string>;
  /** Runs a command in the network namespace. @returns what it printed */
  readonly exec: (
    command: string,
    args: readonly string[],
    options?: CommandOptions,
  ) => Promise<string>;
  /** Lets pods use an image, given as a docker-archive. */
  readonly loadImage: (tar: string) => Promise<void>;
  /** Opens a port on loopback that leads to an address in the namespace. @returns the port */
  readonly forward: (host: string, port: number) => Promise<number>;
  /** Whether something listens at an address in the namespace. */
  readonly isUp: (host: string, port: number) => Promise<boolean>;
  /** Ends all of it: nothing stays running, mounted or on disk. */
  readonly stop: () => Promise<void>;
}

export type CommandOptions = Pick<RunOptions, "input" | "timeoutMs" | "environment" | "directory">;

async function preconditions(): Promise<void> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) {
    const way = "or set E2E_KUBECONFIG to the kubeconfig of a cluster that runs already";
    throw new Error(`Cannot start Kubernetes: it takes root on Linux; use sudo, ${way}`);
  }
  await requireTools(NODE_TOOLS);
}

/** Starts it all and resolves once pods can run. @throws Error naming the part that failed */
export async function startKubernetes(): Promise<Kubernetes> {
  await preconditions();
  const programs = await kubernetesPrograms();
  const coredns = await corednsProgram();
  const image = await toolsImage();
  await dismantleLeftovers();
  const folder = await mkdtemp(path.join(tmpdir(), RUN_PREFIX));
  await ownRun(folder);
  const starting = startIn(folder, programs, coredns, image);
  const stop = untilStopped(async () => {
    await Promise.allSettled([starting]); // What is still being made could not be removed.
    await dismantle(folder);
  });
  try {
    return await handleOf(await starting, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startIn(folder: string, programs: string, coredns: string, image: Image) {
  const done = progress("Starting Kubernetes");
  const site = await makeSite(folder, programs);
  await prepareNode(site, image.ref);
  const both = await Promise.allSettled([startControlPlane(site), startContainerd(site)]);
  for (const one of both) if (one.status === "rejected") throw one.reason;
  await importImage(site, image.tar);
  await startNode(site, coredns);
  await waitForNode(site);
  done();
  return site;
}

async function makeSite(folder: string, programs: string): Promise<Site> {
  const name = path.basename(folder);
  await mkdir(path.join(folder, "logs"));
  await makeNamespace(name);
  const identity = await makeIdentity(path.join(folder, "identity"));
  return { folder, name, programs, identity, tunnel: await startTunnel(name, folder) };
}

async function startControlPlane(site: Site): Promise<void> {
  const { endpoint } = await startEtcd({
    dir: path.join(site.folder, "etcd"),
    log: logOf(site, "etcd"),
    netns: site.name,
    isUp: site.tunnel.isUp,
  });
  await startApiServer(site, endpoint);
  await Promise.all([startControllers(site), startScheduler(site)]);
}

/** Until a pod can be scheduled, started and find names. */
async function waitForNode(site: Site): Promise<void> {
  const kubectl = (...args: string[]) =>
    run(path.join(site.programs, "kubectl"), [...kubeconfigFlags(site), ...args], {
      netns: site.name,
    });
  const isReady = async () => {
    const state = `jsonpath={.status.conditions[?(@.type=="Ready")].status}`;
    if ((await kubectl("get", "node", NODE_NAME, "-o", state)) !== "True") return undefined;
    await kubectl("get", "serviceaccount", "default"); // Pods are refused before it exists.
    return (await site.tunnel.isUp(NODE_ADDRESS, 53)) || undefined;
  };
  const patience = { what: "the Kubernetes node", deadlineMs: 90_000, everyMs: 250 };
  await waitFor(isReady, patience).catch((error: Error) => {
    throw new Error(`${error.message}\nkubelet says:\n${logTail(logOf(site, "kubelet"))}`);
  });
}

const kubeconfigFlags = ({ identity }: Site) => ["--kubeconfig", identity.kubeconfig("admin")];

async function handleOf(site: Site, stop: () => Promise<void>): Promise<Kubernetes> {
  const { name, folder, identity, programs, tunnel } = site;
  const port = await tunnel.forward(NODE_ADDRESS, API_PORT);
  const stopAll = untilStopped(async () => {
    await tunnel.stop();
    await stop(); // Ends all parts at once: nobody needs what they would write.
  });
  const kubeconfig = await identity.adminAt(`https://127.0.0.1:${port}`);
  const environment = { KUBECONFIG: kubeconfig };
  return {
    kubeconfig,
    netns: name,
    nodeAddress: NODE_ADDRESS,
    logs: path.join(folder, "logs"),
    kubectl: (args, options = {}) =>
      run(path.join(programs, "kubectl"), args, {
        ...options,
        environment: { ...options.environment, ...environment },
      }),
    helm: async (args, options = {}) =>
      run(path.join(await helmProgram(), "helm"), args, {
        ...options,
        environment: { ...options.environment, ...environment },
      }),
    exec: (command, args, options = {}) => run(command, args, { ...options, netns: name }),
    loadImage: (tar) => importImage(site, tar),
    forward: tunnel.forward,
    isUp: tunnel.isUp,
    stop: stopAll,
  };
}
