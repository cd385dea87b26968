/** For tests: the CRD on the API server of the tests, and XmppClusters to give it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { Kube, KubeObject } from "../../kube/contract.ts";
import { isKubeError } from "../../kube/errors.ts";
import { until } from "../../kube/testing/api-server.ts";
import { API_VERSION, KIND } from "../names.ts";
import type { Cluster, XmppCluster } from "../xmpp-cluster.ts";
import { readCluster } from "../xmpp-cluster.ts";

const root = join(import.meta.dirname, "../../..");

/** A file of the repository, by its path from the root. */
export const readText = (path: string): string => readFileSync(join(root, path), "utf8");

export const readYaml = (path: string): unknown => parse(readText(path));

/** Applies crds/xmppcluster.yaml and waits until the API is served. */
export async function installCrd(kube: Kube): Promise<void> {
  await kube.apply(readYaml("crds/xmppcluster.yaml") as KubeObject);
  await until("XmppCluster is served", async () => {
    try {
      await kube.list(API_VERSION, KIND, { namespace: "default" });
      return true;
    } catch (error) {
      if (isKubeError(error, "KindNotServed")) return false;
      throw error;
    }
  });
}

export const example = (name: "minimal" | "full"): XmppCluster =>
  readYaml(`crds/examples/${name}.yaml`) as XmppCluster;

/** The minimal example in a namespace, with parts of its spec replaced. */
export function minimal(namespace: string, spec: object = {}, name = "chat"): XmppCluster {
  const { spec: base } = example("minimal");
  return {
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { namespace, name },
    spec: { ...(base as object), ...spec },
  };
}

/** An XmppCluster as the operator reads it, without a server. */
export function clusterOf(object: XmppCluster, over: Partial<Cluster> = {}): Cluster {
  const reading = readCluster({
    ...object,
    metadata: { namespace: "example", uid: "1-2-3", generation: 1, ...object.metadata },
  });
  if (reading.kind === "invalid") throw new Error(reading.message);
  return { ...reading.cluster, ...over };
}
