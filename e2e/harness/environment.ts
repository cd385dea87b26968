/**
 * The Kubernetes that the e2e suite runs on: our own, or the one that E2E_KUBECONFIG and the other
 * variables of environment-variables.ts name. One process brings it up; the tests connect to it.
 */
import path from "node:path";
import { clusterKeys } from "./cluster-keys.ts";
import type { Place } from "./environment-variables.ts";
import { fromVariables, toVariables } from "./environment-variables.ts";
import { kubernetesPrograms } from "./kubernetes/binaries.ts";
import { installOperator } from "./operator-install.ts";
import { startOwnEnvironment } from "./own-environment.ts";
import { killPodProcess } from "./pod-process.ts";
import { run } from "./run.ts";
import { find } from "./tools.ts";

export interface Kubernetes {
  /** Runs kubectl. @returns what it printed @throws Error with what it complained about */
  readonly kubectl: (
    args: readonly string[],
    options?: { readonly input?: string },
  ) => Promise<string>;
  /** Words put before a command to run it where pods are reachable. */
  readonly enter: readonly string[];
  readonly nodeImage: { readonly repository: string; readonly versions: readonly [string, string] };
  /** As pods reach it: "http://IP:PORT". */
  readonly etcdEndpoint: string;
  /** As pods reach it: "IP:PORT". */
  readonly cassandraContactPoint: string;
  readonly cassandraDatacenter: string;
  /** Installs the operator by helm and resolves once it is ready. */
  readonly installOperator: (namespace: string) => Promise<void>;
  /** The incarnation of the node in a pod, from etcd. */
  readonly incarnationOf: (podName: string) => Promise<string>;
  /** How many routes in etcd lead to an incarnation. */
  readonly routesOf: (incarnation: string) => Promise<number>;
  /** How many keys the XmppCluster has in etcd. */
  readonly etcdKeys: () => Promise<number>;
  /** SIGKILL to the node process of a pod. */
  readonly killNode: (podName: string) => Promise<void>;
}

/** Where the suite's XmppCluster, zonda-e2e/chat, keeps its keys. */
const PREFIX = "/zonda/zonda-e2e/chat/";

/** Brings the environment up. @returns the variables for `connectKubernetes` elsewhere */
export async function startEnvironment(): Promise<{
  readonly environment: Record<string, string>;
  readonly stop: () => Promise<void>;
}> {
  if (process.env.E2E_KUBECONFIG) {
    const place = fromVariables(process.env); // Says now what is missing, not in the first test.
    return { environment: { ...toVariables(place) }, stop: async () => undefined };
  }
  const { place, stop } = await startOwnEnvironment();
  return { environment: { ...toVariables(place) }, stop };
}

const kubectlOf = async ({ kubectl }: Place): Promise<string> =>
  kubectl ?? find("kubectl") ?? path.join(await kubernetesPrograms(), "kubectl");

/** Connects to what `startEnvironment` brought up, by this process's environment variables. */
export async function connectKubernetes(): Promise<Kubernetes> {
  const place = fromVariables(process.env);
  const kubectl = await kubectlOf(place);
  const keys = clusterKeys(place.etcdFromHere ?? place.etcdEndpoint, PREFIX);
  return {
    kubectl: (args, options = {}) =>
      run(kubectl, args, { ...options, environment: { KUBECONFIG: place.kubeconfig } }),
    enter: place.netns === undefined ? [] : ["nsenter", `--net=/run/netns/${place.netns}`],
    nodeImage: { repository: place.nodeImage, versions: place.versions },
    etcdEndpoint: place.etcdEndpoint,
    cassandraContactPoint: place.cassandra,
    cassandraDatacenter: place.cassandraDatacenter,
    installOperator: (namespace) => installOperator(place, namespace),
    incarnationOf: keys.incarnationOf,
    routesOf: keys.routesOf,
    etcdKeys: keys.count,
    killNode: killPodProcess,
  };
}
