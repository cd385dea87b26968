/** 6. Scaling, wrong specs, and an end that leaves nothing behind. */
import { expect, test } from "vitest";
import { CLUSTER, clusterStatus, eventually, listPods, NAMESPACE } from "../chat-cluster.ts";
import type { Scene } from "./scene.ts";

const KINDS =
  "replicasets,pods,services,configmaps,secrets,poddisruptionbudgets,networkpolicies,serviceaccounts";

export function scaleAndDelete(scene: () => Scene): void {
  const kubectl = (...args: readonly string[]): Promise<string> => scene().kube.kubectl([...args]);
  const patch = (spec: object): Promise<string> =>
    kubectl(
      "patch",
      "xmppcluster",
      CLUSTER,
      "-n",
      NAMESPACE,
      "--type=merge",
      "-p",
      JSON.stringify({ spec }),
    );

  test.each([2, 4])("kubectl scale to %i nodes", async (replicas) => {
    await kubectl("scale", "xmppcluster", CLUSTER, "-n", NAMESPACE, `--replicas=${replicas}`);
    await eventually(
      `${replicas} ready nodes`,
      180,
      () => clusterStatus(scene().kube),
      (status) =>
        status.readyReplicas === replicas &&
        status.replicas === replicas &&
        status.phase === "Ready",
    );
    await eventually(
      "that many pods",
      90,
      () => listPods(scene().kube),
      (pods) => pods.length === replicas,
    );
  });

  test.each([
    [{ replicas: 0 }, /replicas/],
    [{ version: "latest" }, /version must be like 2\.4\.1/],
    [{ update: { maxSurge: 0, maxUnavailable: 0 } }, /no node could ever be replaced/],
    [{ config: { routes: {} } }, /set spec\.etcd instead/],
    [{ cassandra: { keyspace: "other" } }, /keyspace can not change/],
  ])("the wrong spec %j is refused with a reason", async (spec, reason) => {
    await expect(patch(spec)).rejects.toThrow(reason);
  });

  test("a field that does not exist is refused by name", async () => {
    const { kube } = scene();
    const current = await kubectl("get", "xmppcluster", CLUSTER, "-n", NAMESPACE, "-o", "json");
    const { apiVersion, kind, metadata, spec } = JSON.parse(current) as {
      apiVersion: string;
      kind: string;
      metadata: { name: string };
      spec: object;
    };
    const wrong = {
      apiVersion,
      kind,
      metadata: { name: metadata.name },
      spec: { ...spec, nodes: 3 },
    };
    const refusal = kube.kubectl(["apply", "-n", NAMESPACE, "-f", "-"], {
      input: JSON.stringify(wrong),
    });
    await expect(refusal).rejects.toThrow(/unknown field "spec.nodes"/);
  });

  test("deleting the resource leaves nothing behind", async () => {
    await kubectl("delete", "xmppcluster", CLUSTER, "-n", NAMESPACE, "--timeout=120s");
    const selector = `xmpp.zonda.dev/cluster=${CLUSTER}`;
    const remaining = (): Promise<string> =>
      kubectl("get", KINDS, "-n", NAMESPACE, "-l", selector, "-o", "name", "--ignore-not-found");
    expect(
      (await eventually("nothing left", 180, remaining, (names) => names.trim() === "")).trim(),
    ).toBe("");
    await eventually(
      "no keys in etcd but those that lapse",
      30,
      () => scene().kube.etcdKeys(),
      (count) => count === 0,
    );
  });
}
