/** A Kubernetes of our own with etcd, Cassandra and this checkout's images: all the suite needs. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { Cassandra } from "./cassandra.ts";
import { startCassandra } from "./cassandra.ts";
import type { Place } from "./environment-variables.ts";
import type { Etcd } from "./etcd.ts";
import { startEtcd } from "./etcd.ts";
import type { Images } from "./image.ts";
import { buildImages, buildPart } from "./image.ts";
import { helmProgram, kubernetesPrograms } from "./kubernetes/binaries.ts";
import type { Kubernetes } from "./kubernetes/kubernetes.ts";
import { startKubernetes } from "./kubernetes/kubernetes.ts";
import { untilStopped } from "./lifetime.ts";
import { progress } from "./progress.ts";
import { scratch } from "./scratch.ts";

export interface OwnEnvironment {
  readonly kubernetes: Kubernetes;
  readonly etcd: Etcd;
  readonly cassandra: Cassandra;
  /** The same, as the suite's processes are told. */
  readonly place: Place;
  readonly stop: () => Promise<void>;
}

const PACKAGE = path.join(import.meta.dirname, "..", "..", "package.json");

/** The version of this checkout, and one that an upgrade can go to. */
export async function versions(): Promise<readonly [string, string]> {
  const { version } = JSON.parse(await readFile(PACKAGE, "utf8")) as { version: string };
  const [major, minor, patch] = version.split(".").map((part) => Number.parseInt(part, 10));
  return [version, `${major}.${minor}.${(patch ?? 0) + 1}`];
}

/** Brings all of it up. Whatever fails, nothing stays behind. */
export async function startOwnEnvironment(): Promise<OwnEnvironment> {
  const started: { stop(): Promise<void> }[] = [];
  const end = async () => {
    for (const one of started.reverse()) await one.stop();
  };
  try {
    // Long builds come before anything is started that would only wait for them.
    const helm = await helmProgram();
    const programs = await kubernetesPrograms();
    const [current, next] = await versions();
    const archives = await scratch("images");
    started.push({ stop: archives.remove });
    const outDir = archives.folder;
    const images = await buildImages({ version: current, outDir });
    const upgrade = { node: await buildPart("node", { version: next, outDir }) };
    const kubernetes = await startKubernetes();
    started.push(kubernetes);
    const { netns, nodeAddress, isUp } = kubernetes;
    const inside = { netns, address: nodeAddress, isUp };
    const done = progress("Starting etcd and Cassandra, loading images");
    const starting = [startEtcd(inside), startCassandra({ ...inside, heapMb: 512 })] as const;
    const settled = Promise.allSettled(starting);
    await loadAll(kubernetes, images, upgrade);
    for (const one of await settled) if (one.status === "fulfilled") started.push(one.value);
    const [etcd, cassandra] = await Promise.all(starting);
    done();
    const place: Place = {
      kubeconfig: kubernetes.kubeconfig,
      kubectl: path.join(programs, "kubectl"),
      helm: path.join(helm, "helm"),
      netns,
      etcdEndpoint: etcd.endpoint,
      etcdFromHere: `http://127.0.0.1:${await kubernetes.forward(nodeAddress, etcd.clientPort)}`,
      cassandra: `${nodeAddress}:${cassandra.cqlPort}`,
      cassandraDatacenter: cassandra.datacenter,
      nodeImage: images.node.ref.replace(/:[^:]*$/, ""),
      versions: [current, next],
      operatorImage: images.operator.ref,
    };
    return { kubernetes, etcd, cassandra, place, stop: untilStopped(end) };
  } catch (error) {
    await end();
    throw error;
  }
}

async function loadAll({ loadImage }: Kubernetes, ...all: readonly Partial<Images>[]) {
  for (const image of all.flatMap(({ node, operator }) => [node, operator])) {
    if (image !== undefined) await loadImage(image.tar);
  }
}
