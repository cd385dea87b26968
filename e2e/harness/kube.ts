/**
 * `npm run kube`: a real Kubernetes on this machine with etcd, Cassandra, the operator and an
 * example XmppCluster, left running to be looked at. Ctrl-C ends all of it.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { parse, stringify } from "yaml";
import type { Place } from "./environment-variables.ts";
import { answerHelp } from "./help.ts";
import { endAll } from "./lifetime.ts";
import { installOperator } from "./operator-install.ts";
import type { OwnEnvironment } from "./own-environment.ts";
import { startOwnEnvironment } from "./own-environment.ts";
import { progress } from "./progress.ts";

const EXAMPLE = path.join(import.meta.dirname, "..", "..", "crds", "examples", "minimal.yaml");
const NAMESPACE = "zonda";
const CLIENT_PORT = 5222;

interface Resource {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly domains: readonly string[] };
}

/** The minimal example, pointed at what runs here. */
async function exampleFor(place: Place): Promise<Resource> {
  const example = parse(await readFile(EXAMPLE, "utf8")) as Resource;
  const spec = {
    ...example.spec,
    version: place.versions[0],
    image: { repository: place.nodeImage },
    replicas: 3,
    etcd: { endpoints: [place.etcdEndpoint] },
    cassandra: {
      contactPoints: [place.cassandra],
      localDatacenter: place.cassandraDatacenter,
      keyspace: "zonda",
      replicationFactor: 1,
    },
  };
  return { ...example, spec };
}

async function installAll({ kubernetes, place }: OwnEnvironment): Promise<Resource> {
  const { kubectl } = kubernetes;
  const done = progress("Installing the operator and an XmppCluster");
  await kubectl(["create", "namespace", NAMESPACE]);
  const level = "pod-security.kubernetes.io/enforce=restricted";
  await kubectl(["label", "namespace", NAMESPACE, level]);
  await installOperator(place, NAMESPACE);
  const resource = await exampleFor(place);
  await kubectl(["apply", "-n", NAMESPACE, "-f", "-"], { input: stringify(resource) });
  const name = `xmppcluster/${resource.metadata.name}`;
  await kubectl(["wait", "-n", NAMESPACE, "--for=condition=Ready", name, "--timeout=240s"]);
  done();
  return resource;
}

async function clientPort({ kubernetes }: OwnEnvironment, cluster: string): Promise<number> {
  const field = ["-o", "jsonpath={.spec.clusterIP}"];
  const service = ["get", "service", `${cluster}-c2s`, "-n", NAMESPACE, ...field];
  return kubernetes.forward((await kubernetes.kubectl(service)).trim(), CLIENT_PORT);
}

async function main(): Promise<void> {
  const environment = await startOwnEnvironment();
  const { metadata, spec } = await installAll(environment);
  const { name } = metadata;
  const port = await clientPort(environment, name);
  const { kubectl, kubeconfig, versions } = environment.place;
  process.stdout.write(`
It runs: ${name} serves ${spec.domains.join(", ")}; clients connect to 127.0.0.1:${port}.

  export KUBECONFIG=${kubeconfig}
  alias kubectl=${kubectl}

Try, in another terminal:
  kubectl get xmppcluster,pods -n ${NAMESPACE}
  kubectl scale xmppcluster ${name} -n ${NAMESPACE} --replicas=4
  kubectl patch xmppcluster ${name} -n ${NAMESPACE} --type=merge -p '{"spec":{"version":"${versions[1]}"}}'

Logs of Kubernetes: ${environment.kubernetes.logs}
Ctrl-C ends it.
`);
  setInterval(() => undefined, 1 << 30); // Until then.
}

answerHelp(`Usage: npm run kube

Brings up a real Kubernetes on this machine (as root), with etcd, Cassandra, the operator and an example
XmppCluster, says how to look at it, and leaves it running until Ctrl-C. The first time it builds what it
needs, in about ten minutes.
`);
try {
  await main();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  await endAll();
  process.exit(1);
}
