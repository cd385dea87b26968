/**
 * Who may connect to nodes: everybody to the doors for clients and servers, only nodes of the same
 * cluster to the mesh, only pods of this Kubernetes to health and metrics (the kubelet's probes
 * come from the machine itself, which no policy stops).
 */
import type { Cluster } from "../api/xmpp-cluster.ts";
import type { KubeObject } from "../kube/contract.ts";
import { clusterSelector, ownedBy } from "./labels.ts";
import { names } from "./names.ts";
import { PORTS } from "./settings.ts";

const tcp = (...numbers: readonly number[]) =>
  numbers.map((number) => ({ port: number, protocol: "TCP" }));

export const networkPolicy = (cluster: Cluster): KubeObject => {
  const nodes = { podSelector: { matchLabels: clusterSelector(cluster.name) } };
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: ownedBy(cluster, names.nodes(cluster.name)),
    spec: {
      ...nodes,
      policyTypes: ["Ingress"],
      ingress: [
        { ports: tcp(PORTS.clients, PORTS.directTls, PORTS.web, PORTS.servers) },
        { ports: tcp(PORTS.mesh), from: [nodes] },
        { ports: tcp(PORTS.http), from: [{ namespaceSelector: {} }] },
      ],
    },
  };
};
