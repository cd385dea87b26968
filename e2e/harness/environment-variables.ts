/** How the e2e suite is told about the Kubernetes it runs on: environment variables. */

/** A Kubernetes, the servers beside it and the images it can run. */
export interface Place {
  readonly kubeconfig: string;
  /** Programs; from PATH, else built, if left out. */
  readonly kubectl?: string | undefined;
  readonly helm?: string | undefined;
  /** Network namespace in which pods are reachable; ours if left out. */
  readonly netns?: string | undefined;
  /** etcd as pods reach it: "http://IP:PORT". */
  readonly etcdEndpoint: string;
  /** etcd as the tests reach it, when that differs. */
  readonly etcdFromHere?: string | undefined;
  /** Cassandra as pods reach it: "IP:PORT". */
  readonly cassandra: string;
  readonly cassandraDatacenter: string;
  /** Repository of the nodes' image, without tag. */
  readonly nodeImage: string;
  /** Two versions of it that can be run: upgrades go from the first to the second. */
  readonly versions: readonly [string, string];
  /** "zonda-operator:0.1.0" */
  readonly operatorImage: string;
}

type Variables = Readonly<Record<string, string | undefined>>;

const NAMES = {
  kubeconfig: "E2E_KUBECONFIG",
  kubectl: "E2E_KUBECTL",
  helm: "E2E_HELM",
  netns: "E2E_NETNS",
  etcdEndpoint: "E2E_ETCD_ENDPOINT",
  etcdFromHere: "E2E_ETCD_FROM_HERE",
  cassandra: "E2E_CASSANDRA",
  cassandraDatacenter: "E2E_CASSANDRA_DATACENTER",
  nodeImage: "E2E_NODE_IMAGE",
  versions: "E2E_VERSIONS",
  operatorImage: "E2E_OPERATOR_IMAGE",
} as const;

const REQUIRED = ["kubeconfig", "etcdEndpoint", "cassandra", "nodeImage", "operatorImage"] as const;

/** The variables that say the same as the place. */
export function toVariables(place: Place): Readonly<Record<string, string>> {
  const entries = (Object.keys(NAMES) as (keyof Place)[]).flatMap((key) => {
    const value = place[key];
    return value === undefined ? [] : [[NAMES[key], String(value)] as const];
  });
  return Object.fromEntries(entries);
}

/** @throws Error naming every variable that is missing or wrong */
export function fromVariables(variables: Variables): Place {
  const read = (key: keyof Place) => variables[NAMES[key]] || undefined;
  const missing = REQUIRED.filter((key) => read(key) === undefined).map((key) => NAMES[key]);
  if (missing.length > 0) throw new Error(`Cannot use the cluster: set ${missing.join(", ")}`);
  const [first, second, ...more] = (read("versions") ?? "").split(",").map((one) => one.trim());
  if (!first || !second || more.length > 0) {
    throw new Error(
      `Cannot use the cluster: set ${NAMES.versions} to two versions, as 0.1.0,0.1.1`,
    );
  }
  const must = (key: (typeof REQUIRED)[number]) => read(key) as string;
  return {
    kubeconfig: must("kubeconfig"),
    kubectl: read("kubectl"),
    helm: read("helm"),
    netns: read("netns"),
    etcdEndpoint: must("etcdEndpoint"),
    etcdFromHere: read("etcdFromHere"),
    cassandra: must("cassandra"),
    cassandraDatacenter: read("cassandraDatacenter") ?? "datacenter1",
    nodeImage: must("nodeImage"),
    versions: [first, second],
    operatorImage: must("operatorImage"),
  };
}
