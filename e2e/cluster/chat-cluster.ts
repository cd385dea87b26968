/** Accounts, made the way an administrator makes them on Kubernetes: with the command in a pod. */
import type { Kubernetes } from "../harness/environment.ts";

export const DOMAIN = "chat.example.org";
export const CLUSTER = "chat";
export const NAMESPACE = "zonda-e2e";
export const LEASE_SECONDS = 10;

export interface Pod {
  readonly name: string;
  readonly address: string;
  readonly version: string;
  readonly isReady: boolean;
  readonly isTerminating: boolean;
}

interface PodList {
  readonly items: readonly {
    readonly metadata: {
      readonly name: string;
      readonly deletionTimestamp?: string;
      readonly labels: Readonly<Record<string, string>>;
    };
    readonly status: {
      readonly podIP?: string;
      readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    };
  }[];
}

/** A pod of our own: what a test asks of it. */
export async function listPods(kube: Kubernetes): Promise<readonly Pod[]> {
  const { items } = JSON.parse(
    await kube.kubectl([
      "get",
      "pods",
      "-n",
      NAMESPACE,
      "-l",
      `xmpp.zonda.dev/cluster=${CLUSTER}`,
      "-o",
      "json",
    ]),
  ) as PodList;
  return items.map(({ metadata, status }) => ({
    name: metadata.name,
    address: status.podIP ?? "",
    version: metadata.labels["app.kubernetes.io/version"] ?? "",
    isReady: (status.conditions ?? []).some((one) => one.type === "Ready" && one.status === "True"),
    isTerminating: metadata.deletionTimestamp !== undefined,
  }));
}

export const servingPods = async (kube: Kubernetes): Promise<readonly Pod[]> =>
  (await listPods(kube)).filter(({ isReady, isTerminating }) => isReady && !isTerminating);

/** Makes the account in the cluster's store. */
export async function addUser(kube: Kubernetes, name: string, password: string): Promise<string> {
  const [pod] = await servingPods(kube);
  const address = `${name}@${DOMAIN}`;
  const command = [
    "node",
    "/app/node/cli.ts",
    "user",
    "add",
    address,
    "--config",
    "/etc/zonda/zonda.yaml",
  ];
  await kube.kubectl(["exec", "-i", "-n", NAMESPACE, pod?.name ?? "", "--", ...command], {
    input: `${password}\n`,
  });
  return address;
}

export interface ClusterStatus {
  readonly version?: string;
  readonly phase?: string;
  readonly replicas?: number;
  readonly readyReplicas?: number;
  readonly observedGeneration?: number;
  readonly nodes?: readonly { readonly name: string; readonly version: string }[];
}

export async function clusterStatus(kube: Kubernetes): Promise<ClusterStatus> {
  const text = await kube.kubectl(["get", "xmppcluster", CLUSTER, "-n", NAMESPACE, "-o", "json"]);
  return (JSON.parse(text) as { status?: ClusterStatus }).status ?? {};
}

/** Asks again every half second until it holds. @throws with the last answer. */
export async function eventually<T>(
  what: string,
  seconds: number,
  ask: () => Promise<T>,
  holds: (answer: T) => boolean,
): Promise<T> {
  const deadline = performance.now() + seconds * 1_000;
  for (;;) {
    const answer = await ask();
    if (holds(answer)) return answer;
    if (performance.now() > deadline) {
      throw new Error(`Waited ${seconds} s for ${what}; last seen: ${JSON.stringify(answer)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
