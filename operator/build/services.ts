/** The doors of a cluster: for clients, web clients, servers, and of its nodes for each other. */
import type { Cluster } from "../api/xmpp-cluster.ts";
import type { KubeObject } from "../kube/contract.ts";
import { clusterSelector, ownedBy } from "./labels.ts";
import { names } from "./names.ts";
import { PORTS } from "./settings.ts";

const service = (cluster: Cluster, name: string, spec: object): KubeObject => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: ownedBy(cluster, name),
  spec: { selector: clusterSelector(cluster.name), ...spec },
});

const port = (name: string, number: number) => ({
  name,
  port: number,
  targetPort: name,
  protocol: "TCP",
});

function door(
  cluster: Cluster,
  name: string,
  ports: readonly object[],
  affinity: object = {},
): KubeObject {
  const { type, annotations } = cluster.spec.service;
  const built = service(cluster, name, { type, ports, ...affinity });
  if (annotations === undefined) return built;
  return { ...built, metadata: { ...built.metadata, annotations } };
}

export const clientsService = (cluster: Cluster): KubeObject =>
  door(cluster, names.clients(cluster.name), [
    port("c2s", PORTS.clients),
    port("c2s-tls", PORTS.directTls),
  ]);

/** As long as an address may be silent and still be sent to the same node. */
const AFFINITY_SECONDS = 10_800;

/** A client of BOSH must reach the node that holds its session with every request. */
export const webService = (cluster: Cluster): KubeObject =>
  door(cluster, names.web(cluster.name), [port("web", PORTS.web)], {
    sessionAffinity: "ClientIP",
    sessionAffinityConfig: { clientIP: { timeoutSeconds: AFFINITY_SECONDS } },
  });

export const serversService = (cluster: Cluster): KubeObject =>
  door(cluster, names.servers(cluster.name), [port("s2s", PORTS.servers)]);

/** Headless: nodes talk to one node, not to any; a starting or stopping one still has a name. */
export const meshService = (cluster: Cluster): KubeObject =>
  service(cluster, names.mesh(cluster.name), {
    clusterIP: "None",
    publishNotReadyAddresses: true,
    ports: [port("mesh", PORTS.mesh)],
  });
