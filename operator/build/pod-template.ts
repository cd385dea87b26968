/** The pod of one node. It meets the "restricted" Pod Security Standard. */
import type { Cluster } from "../api/xmpp-cluster.ts";
import type { PodTemplate } from "./kinds.ts";
import { revisionLabels, revisionSelector } from "./labels.ts";
import { names } from "./names.ts";
import { PROXY_DIRECTORY, PROXY_FILES } from "./proxy.ts";
import { CONFIG_DIRECTORY, domainFolder, PORTS } from "./settings.ts";

const USER = 10001;
/** A node ends by itself within its drain deadline; SIGKILL only comes well after it. */
const GRACE_BEYOND_DRAIN_SECONDS = 30;

export const podTemplate = (cluster: Cluster, revision: string): PodTemplate => ({
  metadata: { labels: revisionLabels(cluster, revision) },
  spec: {
    serviceAccountName: names.nodes(cluster.name),
    automountServiceAccountToken: false,
    // With links, a Service named zonda-c2s would set ZONDA_C2S_PORT, which nodes read as an option.
    enableServiceLinks: false,
    terminationGracePeriodSeconds:
      cluster.spec.update.drain.deadlineSeconds + GRACE_BEYOND_DRAIN_SECONDS,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      fsGroup: USER,
      seccompProfile: { type: "RuntimeDefault" },
    },
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: "kubernetes.io/hostname",
        whenUnsatisfiable: "ScheduleAnyway",
        labelSelector: { matchLabels: revisionSelector(cluster.name, revision) },
      },
    ],
    ...(cluster.spec.tls.endsAt === "Proxy" && { initContainers: [proxy(cluster)] }),
    containers: [container(cluster)],
    volumes: volumes(cluster, revision),
  },
});

function image({ version, image: { repository, digest, pullPolicy } }: Cluster["spec"]): object {
  return {
    image: digest === undefined ? `${repository}:${version}` : `${repository}@${digest}`,
    imagePullPolicy: pullPolicy,
  };
}

const confined = () => ({
  securityContext: {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  },
  // The last lines of one that crashed; the operator quotes them in the status.
  terminationMessagePolicy: "FallbackToLogsOnError",
});

/**
 * Ends the TLS of clients. An init container that is always restarted begins before the node and ends
 * after it: a node that drains still has its clients.
 */
const proxy = ({ spec }: Cluster): object => ({
  name: "proxy",
  ...image(spec),
  restartPolicy: "Always",
  // With a master: the first process of a container is not ended by a signal that it does not handle.
  command: ["/usr/sbin/haproxy", "-W", "-f", `${PROXY_DIRECTORY}/haproxy.cfg`],
  // To connect is enough: where nobody begins TLS, the node hears nothing of it.
  readinessProbe: {
    tcpSocket: { port: PORTS.directTls },
    ...{ periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 2 },
  },
  resources: spec.tls.proxyResources,
  ...confined(),
  volumeMounts: [{ name: "proxy", mountPath: PROXY_DIRECTORY, readOnly: true }],
});

function container({ spec }: Cluster): object {
  return {
    name: "node",
    ...image(spec),
    args: ["serve", "--config", `${CONFIG_DIRECTORY}/zonda.yaml`],
    env: environment(spec),
    // Of the pod: c2s-tls may be the proxy's.
    ports: [
      { name: "c2s", containerPort: PORTS.clients },
      { name: "c2s-tls", containerPort: PORTS.directTls },
      { name: "web", containerPort: PORTS.web },
      { name: "s2s", containerPort: PORTS.servers },
      { name: "mesh", containerPort: PORTS.mesh },
      { name: "http", containerPort: PORTS.http },
    ],
    startupProbe: probe("/healthz", { periodSeconds: 1, timeoutSeconds: 2, failureThreshold: 120 }),
    livenessProbe: probe("/healthz", { periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 }),
    readinessProbe: probe("/readyz", { periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 2 }),
    resources: spec.resources,
    ...confined(),
    volumeMounts: [
      { name: "config", mountPath: CONFIG_DIRECTORY, readOnly: true },
      { name: "data", mountPath: "/data" },
      { name: "tmp", mountPath: "/tmp" },
    ],
  };
}

const probe = (path: string, timing: object) => ({ httpGet: { path, port: "http" }, ...timing });

const fromField = (name: string, fieldPath: string) => ({
  name,
  valueFrom: { fieldRef: { fieldPath } },
});

const LOGIN = { USERNAME: "username", PASSWORD: "password" };
const ACCESS_KEY = { ACCESS_KEY_ID: "accessKeyId", SECRET_ACCESS_KEY: "secretAccessKey" };

/** @param keys of the Secret, by the end of the variable's name */
const fromSecret = (
  prefix: string,
  secret: string | undefined,
  keys: Readonly<Record<string, string>>,
) =>
  secret === undefined
    ? []
    : Object.entries(keys).map(([end, key]) => ({
        name: `${prefix}_${end}`,
        valueFrom: { secretKeyRef: { name: secret, key } },
      }));

const environment = ({ etcd, cassandra, upload }: Cluster["spec"]): readonly object[] => [
  fromField("ZONDA_NODE_NAME", "metadata.name"),
  fromField("ZONDA_MESH_ADVERTISE", "status.podIP"),
  ...fromSecret("ZONDA_STORE_CASSANDRA", cassandra.secretName, LOGIN),
  ...fromSecret("ZONDA_ROUTES_ETCD", etcd.secretName, LOGIN),
  ...fromSecret("ZONDA_UPLOAD_S3", upload.secretName, ACCESS_KEY),
];

const files = (directory: string, ...keys: readonly string[]) =>
  keys.map((key) => ({ key, path: `${directory}/${key}` }));

/** What clients and servers are shown. */
const certificates = ({ name, spec: { tls } }: Cluster): readonly object[] => [
  {
    secret: { name: tls.secretName ?? names.tls(name), items: files("tls", "tls.crt", "tls.key") },
  },
  ...(tls.domains ?? []).map(({ domain, secretName }) => ({
    secret: { name: secretName, items: files(domainFolder(domain), "tls.crt", "tls.key") },
  })),
];

/** The proxy is given no more than it needs: nothing of the mesh. */
const proxyVolume = (cluster: Cluster, revision: string): object => ({
  name: "proxy",
  projected: {
    defaultMode: 0o440,
    sources: [
      {
        configMap: {
          name: names.revision(cluster.name, revision),
          items: PROXY_FILES.map((key) => ({ key, path: key })),
        },
      },
      ...certificates(cluster),
    ],
  },
});

/** The cluster authority's key is never among them. */
function volumes(cluster: Cluster, revision: string): readonly object[] {
  const { name, spec } = cluster;
  return [
    {
      name: "config",
      projected: {
        defaultMode: 0o440,
        sources: [
          { configMap: { name: names.revision(name, revision) } },
          {
            secret: {
              name: names.mesh(name),
              items: files("mesh", "ca.crt", "tls.crt", "tls.key"),
            },
          },
          ...certificates(cluster),
        ],
      },
    },
    ...(spec.tls.endsAt === "Proxy" ? [proxyVolume(cluster, revision)] : []),
    { name: "data", emptyDir: {} },
    { name: "tmp", emptyDir: {} },
  ];
}
