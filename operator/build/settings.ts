/** The configuration file of a cluster's nodes: spec.config, and what the operator decides. */
import type { Cluster } from "../api/xmpp-cluster.ts";
import { names } from "./names.ts";

/** Where a node finds its files; one projected volume. */
export const CONFIG_DIRECTORY = "/etc/zonda";
export const PORTS = {
  clients: 5222,
  directTls: 5223,
  /** On loopback alone: others are turned away. */
  proxied: 5224,
  web: 5443,
  servers: 5269,
  mesh: 5280,
  http: 8080,
};

type Tree = Record<string, unknown>;

const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** `ours` wins where both say something. */
function merge(theirs: Tree, ours: Tree): Tree {
  const result: Tree = { ...theirs };
  for (const [key, value] of Object.entries(ours)) {
    const other = result[key];
    result[key] = isTree(other) && isTree(value) ? merge(other, value) : value;
  }
  return result;
}

const withPort = (address: string): string => (/:\d+$/.test(address) ? address : `${address}:9042`);

/** Where a domain's own certificate is, below the others. */
export const domainFolder = (domain: string): string => `domains/${domain}`;

/** What zonda.yaml holds. Names, addresses and passwords of one node come by environment. */
export function nodeSettings({ name, namespace, spec }: Cluster): Tree {
  const { contactPoints, localDatacenter, keyspace, replicationFactor } = spec.cassandra;
  const file = (path: string) => `${CONFIG_DIRECTORY}/${path}`;
  return merge(spec.config ?? {}, {
    domains: spec.domains,
    data: "/data",
    store: {
      engine: "cassandra",
      cassandra: {
        contactPoints: contactPoints.map(withPort),
        localDatacenter,
        keyspace,
        ...(replicationFactor !== undefined && { replicationFactor }),
      },
    },
    routes: {
      engine: "etcd",
      etcd: {
        endpoints: spec.etcd.endpoints,
        prefix: spec.etcd.prefix ?? `/zonda/${namespace}/${name}/`,
      },
    },
    c2s: {
      port: PORTS.clients,
      ...(spec.tls.endsAt === "Proxy"
        ? { proxied: { port: PORTS.proxied, trustedProxies: ["127.0.0.1"] } }
        : { directTls: { port: PORTS.directTls } }),
    },
    web: { host: "0.0.0.0", port: PORTS.web },
    tls: {
      certificate: file("tls/tls.crt"),
      key: file("tls/tls.key"),
      ...(spec.tls.domains !== undefined && {
        domains: Object.fromEntries(
          spec.tls.domains.map(({ domain }) => {
            const folder = domainFolder(domain);
            return [
              domain,
              { certificate: file(`${folder}/tls.crt`), key: file(`${folder}/tls.key`) },
            ];
          }),
        ),
      }),
    },
    mesh: {
      port: PORTS.mesh,
      serverName: names.meshServer(name),
      tls: {
        authority: file("mesh/ca.crt"),
        certificate: file("mesh/tls.crt"),
        key: file("mesh/tls.key"),
      },
    },
    http: { host: "0.0.0.0", port: PORTS.http },
    drain: spec.update.drain,
  });
}
