/**
 * The chart through Helm, and the operator's process on a real API server with no more rights than
 * the chart gives it.
 */
import type { ChildProcess } from "node:child_process";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments, stringify } from "yaml";
import { helmProgram } from "../e2e/harness/kubernetes/binaries.ts";
import { freePort } from "../e2e/harness/ports.ts";
import { API_VERSION, KIND } from "./api/names.ts";
import { installCrd, minimal, readYaml } from "./api/testing/clusters.ts";
import type { XmppCluster } from "./api/xmpp-cluster.ts";
import type { KubeObject } from "./kube/contract.ts";
import { connect, createNamespace, testServer, until } from "./kube/testing/api-server.ts";
import { Machinery } from "./reconcile/testing/machinery.ts";

const root = join(import.meta.dirname, "..");
const chart = join(root, "charts/xmpp-operator");
const run = promisify(execFile);
const { kube, rest, close } = connect();
let helm = "";
let namespace = "";

beforeAll(async () => {
  helm = join(await helmProgram(), "helm"); // Built when missing: minutes, once.
  await installCrd(kube);
  namespace = await createNamespace(kube);
}, 900_000);
afterAll(close);

/** What `helm install` would apply. Helm knows no server here, so it is told of a version. */
async function render(...values: readonly string[]): Promise<readonly KubeObject[]> {
  const sets = values.flatMap((value) => ["--set", value]);
  const common = ["--namespace", namespace, "--kube-version", "1.36.0"];
  const { stdout } = await run(helm, ["template", "test", chart, ...common, ...sets]);
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as KubeObject | null)
    .filter((object) => object !== null);
}

const kinds = (objects: readonly KubeObject[]) =>
  objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? "-"}/${metadata.name}`);

describe("the chart", () => {
  test("passes helm lint", async () => {
    await run(helm, ["lint", "--strict", "--quiet", chart]);
  });

  test("works in its own namespace by default, without rights beyond it", async () => {
    const all = kinds(await render());
    expect(all.filter((name) => / -\//.test(name)).sort()).toEqual([
      `ClusterRole -/${namespace}-test-xmpp-operator-editor`, // For people, not for the operator.
      `ClusterRole -/${namespace}-test-xmpp-operator-viewer`,
      "CustomResourceDefinition -/xmppclusters.xmpp.zonda.dev",
    ]);
    expect(all).toContain(`Role ${namespace}/test-xmpp-operator`);
  });

  test("takes a role of the whole cluster only to watch all of it", async () => {
    const objects = await render("watchNamespace=*");
    expect(kinds(objects)).toContain("ClusterRoleBinding -/test-xmpp-operator");
    expect(JSON.stringify(objects)).not.toContain("--namespace");
  });

  test("gives no wildcard, and of Secrets no list", async () => {
    for (const object of await render("watchNamespace=*")) {
      const { rules = [] } = object as KubeObject & {
        rules?: { resources: string[]; verbs: string[] }[];
      };
      for (const { resources, verbs } of rules) {
        expect([...resources, ...verbs]).not.toContain("*");
        if (resources.includes("secrets")) expect(verbs).toEqual(["get", "create", "patch"]);
      }
    }
  });

  test("carries the CRD of this checkout, kept or not as told", async () => {
    const crd = async (...values: string[]) =>
      (await render(...values)).find(({ kind }) => kind === "CustomResourceDefinition");
    const source = readYaml("crds/xmppcluster.yaml") as KubeObject;
    const keep = { "helm.sh/resource-policy": "keep" };
    expect(await crd()).toMatchObject({ spec: source.spec, metadata: { annotations: keep } });
    expect((await crd("crds.keep=false"))?.metadata).not.toHaveProperty("annotations");
    expect(await crd("crds.enabled=false")).toBeUndefined();
  });

  test.each([
    ["replicas=2", "additional properties 'replicas' not allowed"],
    ["image.tag=a b", "/image/tag"],
    ["logLevel=loud", "/logLevel"],
    ["watchNamespace=A", "/watchNamespace"],
    ["leaderElection.enabled=often", "/leaderElection/enabled"],
    ["crds.keeep=true", "additional properties 'keeep' not allowed"],
  ])("refuses %s", async (value, message) => {
    await expect(render(value)).rejects.toThrow(message);
  });

  test("is accepted by the API server under the restricted pod security level", async () => {
    const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
    const strict = `${namespace}-strict`;
    await kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: strict, labels } });
    const deployment = (await render()).find(({ kind }) => kind === "Deployment");
    if (deployment === undefined) throw new Error("Cannot find the Deployment");
    const { template } = deployment.spec as { template: { spec: object } };
    const metadata = { name: "operator", namespace: strict };
    const pod = { apiVersion: "v1", kind: "Pod", metadata, spec: template.spec };
    expect((await kube.create(pod)).kind).toBe("created");
  });
});

describe("the operator's process, with the rights of the chart", () => {
  let folder = "";
  let operator: ChildProcess;
  let machinery: Machinery;
  let output = "";
  let port: number;
  const ask = async (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
  const lease = () =>
    kube.get("coordination.k8s.io/v1", "Lease", { namespace, name: "zonda-operator" });

  beforeAll(async () => {
    port = await freePort();
    const rights = new Set(["ServiceAccount", "Role", "RoleBinding"]);
    const objects = (await render()).filter(({ kind }) => rights.has(kind));
    for (const { metadata, ...object } of objects) {
      await kube.apply({ ...object, metadata: { ...metadata, namespace } });
    }
    folder = await mkdtemp(join(tmpdir(), "zonda-operator-"));
    const file = join(folder, "kubeconfig");
    await writeFile(file, kubeconfig(await tokenOf("test-xmpp-operator")), { mode: 0o600 });
    machinery = new Machinery(kube, namespace);
    const flags = [`--namespace=${namespace}`, `--kubeconfig=${file}`, `--metrics-port=${port}`];
    operator = spawn(process.execPath, [join(root, "operator/main.ts"), ...flags]);
    operator.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
    operator.stderr?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  });
  afterAll(async () => {
    operator.kill("SIGKILL");
    await machinery.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function tokenOf(name: string): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
    const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} };
    const call = {
      method: "POST",
      path,
      body,
      verb: "create",
      kind: "TokenRequest",
      name,
    } as const;
    return (await rest.json<{ status: { token: string } }>(call)).status.token;
  }

  function kubeconfig(token: string): string {
    const { server, ca = "" } = testServer();
    const authority = Buffer.from(ca).toString("base64");
    return stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "test", cluster: { server, "certificate-authority-data": authority } }],
      users: [{ name: "operator", user: { token } }],
      contexts: [{ name: "test", context: { cluster: "test", user: "operator" } }],
      "current-context": "test",
    });
  }

  const status = async () => {
    const key = { namespace, name: "chat" };
    return (await kube.get<XmppCluster>(API_VERSION, KIND, key))?.status;
  };
  const runs = (version: string) => async () => {
    if (operator.exitCode !== null) throw new Error(output);
    const now = await status();
    return now?.version === version && now.phase === "Ready";
  };

  test("becomes ready and leads", async () => {
    await until(
      "it is ready",
      async () => (await ask("/readyz").catch(() => undefined))?.ok ?? false,
    );
    expect(await (await ask("/healthz")).text()).toBe("ok\n");
    await until("it holds the lease", async () => (await lease()) !== undefined);
    expect((await ask("/elsewhere")).status).toBe(404);
  });

  test("brings a cluster up, to another version and down to one node", async () => {
    await kube.create(minimal(namespace));
    await until("0.1.0 runs", runs("0.1.0"), 60_000);
    const reference = {
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: { namespace, name: "chat" },
    };
    await kube.patch(reference, { spec: { version: "0.2.0" } });
    await until("0.2.0 runs", runs("0.2.0"), 60_000);
    await kube.patch(reference, { spec: { replicas: 1 } });
    await until("one node runs", async () => (await status())?.replicas === 1, 60_000);
    await until("the budget is gone", async () => {
      return (await kube.list("policy/v1", "PodDisruptionBudget", { namespace })).length === 0;
    });
    expect(output).not.toMatch(/Forbidden|reconcile\.failed/);
  });

  test("tells people by events and machines by metrics", async () => {
    const metrics = await (await ask("/metrics")).text();
    expect(metrics).toMatch(/zonda_operator_reconcile_total\{[^}]*result="requeued"[^}]*\} [1-9]/);
    expect(metrics).toMatch(/zonda_operator_leader 1/);
    await until("the events are there", async () => {
      const events = await kube.list<KubeObject & { reason?: string }>(
        "events.k8s.io/v1",
        "Event",
        {
          namespace,
        },
      );
      const reasons = new Set(events.map(({ reason }) => reason));
      return ["RolloutStarted", "NodeReplaced", "RolloutFinished"].every((each) =>
        reasons.has(each),
      );
    });
  });

  test("gives the lease back when it is told to stop, and ends by itself", async () => {
    const ended = once(operator, "exit");
    operator.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
    expect(await lease()).toMatchObject({ spec: { holderIdentity: "" } });
  });
});
