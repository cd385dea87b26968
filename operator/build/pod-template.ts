/** The pod of one node. It meets the "restricted" Pod Security Standard. */
import type { Cluster } from "../api/xmpp-cluster.ts";
import type { PodTemplate } from "./kinds.ts";
import { revisionLabels, revisionSelector } from "./labels.ts";
import { names } from "./names.ts";
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
    containers: [container(cluster)],
    volumes: volumes(cluster, revision),
  },
});

function container({ spec }: Cluster): object {
  const { repository, digest, pullPolicy } = spec.image;
  return {
    name: "node",
    image: digest === undefined ? `${repository}:${spec.version}` : `${repository}@${digest}`,
    imagePullPolicy: pullPolicy,
    args: ["serve", "--config", `${CONFIG_DIRECTORY}/zonda.yaml`],
    env: environment(spec),
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
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
    // The last lines of a node that crashed; the operator quotes them in the status.
    terminationMessagePolicy: "FallbackToLogsOnError",
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

/** The cluster authority's key is never among them. */
function volumes({ name, spec }: Cluster, revision: string): readonly object[] {
  const tls = spec.tls.secretName ?? names.tls(name);
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
          { secret: { name: tls, items: files("tls", "tls.crt", "tls.key") } },
          ...(spec.tls.domains ?? []).map(({ domain, secretName }) => ({
            secret: { name: secretName, items: files(domainFolder(domain), "tls.crt", "tls.key") },
          })),
        ],
      },
    },
    { name: "data", emptyDir: {} },
    { name: "tmp", emptyDir: {} },
  ];
}
