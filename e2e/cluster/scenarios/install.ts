/** 1. `helm install`, `kubectl apply`, and it becomes Ready under the restricted level. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { CLUSTER, clusterStatus, LEASE_SECONDS, listPods, NAMESPACE } from "../chat-cluster.ts";
import type { Scene } from "./scene.ts";

const example = path.join(import.meta.dirname, "../../../crds/examples/minimal.yaml");

/** The minimal example, pointed at this environment's images, etcd and Cassandra. */
async function exampleFor({ kube }: Scene): Promise<string> {
  const resource = parse(await readFile(example, "utf8")) as { spec: Record<string, unknown> };
  const { repository, versions } = kube.nodeImage;
  Object.assign(resource.spec, {
    version: versions[0],
    image: { repository, pullPolicy: "IfNotPresent" },
    replicas: 3,
    etcd: { endpoints: [kube.etcdEndpoint] },
    cassandra: {
      contactPoints: [kube.cassandraContactPoint],
      localDatacenter: kube.cassandraDatacenter,
      keyspace: "zonda_e2e",
      replicationFactor: 1,
    },
    config: { log: { level: "debug" } },
    update: { drain: { deadlineSeconds: 30, disconnectsPerSecond: 50 } },
  });
  return stringify(resource);
}

export function install(scene: () => Scene): void {
  const kubectl = (...args: readonly string[]): Promise<string> => scene().kube.kubectl([...args]);

  test("helm installs the operator and kubectl apply makes a Ready cluster", async () => {
    const { kube } = scene();
    await kubectl("create", "namespace", NAMESPACE);
    await kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted");
    await kube.installOperator(NAMESPACE);
    await kube.kubectl(["apply", "-n", NAMESPACE, "-f", "-"], { input: await exampleFor(scene()) });
    await kubectl(
      "wait",
      "-n",
      NAMESPACE,
      "--for=condition=Ready",
      `xmppcluster/${CLUSTER}`,
      "--timeout=240s",
    );
    const pods = await listPods(kube);
    expect(pods.filter(({ isReady }) => isReady)).toHaveLength(3);
    const status = await clusterStatus(kube);
    expect(status).toMatchObject({
      phase: "Ready",
      readyReplicas: 3,
      version: kube.nodeImage.versions[0],
    });
  });

  test("the namespace refuses what the restricted level forbids, and our pods run in it", async () => {
    const probe = JSON.stringify({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "forbidden", namespace: NAMESPACE },
      spec: { containers: [{ name: "x", image: "x", securityContext: { privileged: true } }] },
    });
    const refusal = scene().kube.kubectl(["apply", "-f", "-"], { input: probe });
    await expect(refusal).rejects.toThrow(/violates PodSecurity "restricted/);
  });

  test("kubectl get answers the question in one line", async () => {
    const output = await kubectl("get", "xmppcluster", "-n", NAMESPACE);
    expect(output.split("\n")[0]).toMatch(/NAME\s+READY\s+VERSION\s+NODES\s+PHASE\s+AGE/);
    expect(output).toMatch(new RegExp(`${CLUSTER}\\s+True\\s+\\S+\\s+3\\s+Ready`));
  });

  test("an idle cluster is written to by nobody", async () => {
    const version = async (): Promise<string> =>
      kubectl(
        "get",
        "xmppcluster",
        CLUSTER,
        "-n",
        NAMESPACE,
        "-o",
        "jsonpath={.metadata.resourceVersion}",
      );
    const before = await version();
    await new Promise((resolve) => setTimeout(resolve, LEASE_SECONDS * 1_000));
    expect(await version()).toBe(before);
  });
}
