/** What a node of a local cluster is told on its command line, beyond its configuration file. */

export interface NodePorts {
  readonly c2s: number;
  readonly http: number;
  readonly mesh: number;
}

export interface NodePlace {
  readonly name: string;
  /** Its own folder, for its data and its mesh certificate. */
  readonly folder: string;
  readonly ports: NodePorts;
}

/** What all nodes of one cluster share. */
export interface Shared {
  readonly etcdEndpoints: readonly string[];
  readonly cqlPort: number;
  readonly datacenter: string;
  /** PEM file of the authority of the mesh. */
  readonly meshAuthority: string;
  /** PEM files of the domains' certificate, unless the configuration file names its own. */
  readonly tls: { readonly certificate: string; readonly key: string } | undefined;
}

type Settings = Readonly<Record<string, string | number | readonly string[]>>;

/** What an administrator's command needs to reach the same data. */
export const storeSettings = ({ cqlPort, datacenter }: Shared): Settings => ({
  "store.engine": "cassandra",
  "store.cassandra.contactPoints": [`127.0.0.1:${cqlPort}`],
  "store.cassandra.localDatacenter": datacenter,
  "store.cassandra.replicationFactor": 1,
});

/** The options of one node, by dotted name. */
export const nodeSettings = ({ name, folder, ports }: NodePlace, shared: Shared): Settings => ({
  "node.name": name,
  data: `${folder}/data`,
  ...storeSettings(shared),
  "routes.engine": "etcd",
  "routes.etcd.endpoints": shared.etcdEndpoints,
  "c2s.host": "127.0.0.1",
  "c2s.port": ports.c2s,
  "http.host": "127.0.0.1",
  "http.port": ports.http,
  "mesh.host": "127.0.0.1",
  "mesh.port": ports.mesh,
  "mesh.advertise": "127.0.0.1",
  "mesh.tls.authority": shared.meshAuthority,
  "mesh.tls.certificate": `${folder}/mesh.crt`,
  "mesh.tls.key": `${folder}/mesh.key`,
  ...(shared.tls !== undefined && {
    "tls.certificate": shared.tls.certificate,
    "tls.key": shared.tls.key,
  }),
});

/** { "a.b": 1 } -> --set a.b=1; a list is written with commas. */
export const asSets = (settings: Settings): readonly string[] =>
  Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`]);
