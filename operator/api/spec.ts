/**
 * What a person may ask of an XmppCluster. The only source: the CRD's schema is generated from
 * it (custom-resource.ts), and the operator checks what it reads with it once more.
 */
import { z } from "zod";

export interface Rule {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
}

/** CEL rules that the API server checks; see "Validation rules" in the Kubernetes CRD manual. */
const checked = (...rules: readonly Rule[]) => ({ "x-kubernetes-validations": rules });

const SECRET_NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;
const secretName = (about: string) =>
  z.string().min(1).max(253).regex(SECRET_NAME).optional().describe(about);

const bounded = (about: string, min: number, max: number) =>
  z.int().min(min).max(max).describe(about);

/** Without repeats; the API server refuses the second of two equal entries. */
const set = (items: z.ZodString, about: string, max: number) =>
  z.array(items).min(1).max(max).describe(about).meta({ "x-kubernetes-list-type": "set" });

/** Quantities as Kubernetes writes them: 2, "500m", "1Gi". */
const QUANTITY =
  /^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$/;
const quantities = (about: string) =>
  z
    .record(z.string(), z.union([z.int(), z.string().max(64).regex(QUANTITY)]))
    .optional()
    .describe(about)
    .meta({ maxProperties: 16 });

const resources = (about: string) =>
  z
    .strictObject({
      requests: quantities("What it is sure to get, such as cpu and memory."),
      limits: quantities("What it may use at most."),
    })
    .prefault({})
    .describe(about);

const image = z
  .strictObject({
    repository: z
      .string()
      .min(1)
      .max(255)
      .regex(/^([a-zA-Z0-9.-]+(:[0-9]+)?\/)?[a-z0-9]+([._/-]+[a-z0-9]+)*$/)
      .describe("Where the node's image is, without tag: the tag is spec.version."),
    pullPolicy: z
      .enum(["Always", "IfNotPresent", "Never"])
      .default("IfNotPresent")
      .describe("When the kubelet pulls the image."),
    digest: z
      .string()
      .max(71)
      .regex(/^sha256:[a-f0-9]{64}$/)
      .optional()
      .describe("Runs exactly this build; spec.version is then only what it is called."),
  })
  .describe("The image of the nodes.");

const HANDS_OFF = {
  domains: "set spec.domains instead",
  data: "nodes of a cluster keep nothing on disk",
  store: "set spec.cassandra instead",
  routes: "set spec.etcd instead",
  tls: "set spec.tls instead",
  mesh: "the operator makes the nodes' addresses and certificates",
  http: "probes and metrics are on port 8080",
  drain: "set spec.update.drain instead",
  node: "nodes are named after their pods",
} as const;

const refused = (why: string) => z.looseObject({}).optional().describe(`Refused: ${why}.`);

const config = z
  .looseObject({
    domains: z
      .array(z.string().max(253))
      .max(50)
      .optional()
      .describe(`Refused: ${HANDS_OFF.domains}.`),
    data: z.string().max(4096).optional().describe(`Refused: ${HANDS_OFF.data}.`),
    store: refused(HANDS_OFF.store),
    routes: refused(HANDS_OFF.routes),
    tls: refused(HANDS_OFF.tls),
    mesh: refused(HANDS_OFF.mesh),
    http: refused(HANDS_OFF.http),
    drain: refused(HANDS_OFF.drain),
    node: refused(HANDS_OFF.node),
    c2s: z
      .looseObject({
        host: z.string().max(255).optional().describe("Refused: nodes listen on every address."),
        port: z.int().min(0).max(65535).optional().describe("Refused: the port is 5222."),
        directTls: refused("the port is 5223"),
        proxied: z
          .looseObject({})
          .optional()
          .describe("For a proxy of your own; refused where tls.endsAt is Proxy."),
      })
      .optional()
      .describe("The door for clients, but for its address and ports.")
      .meta(
        checked({
          rule: "!has(self.host) && !has(self.port) && !has(self.directTls)",
          message:
            "c2s.host, c2s.port and c2s.directTls are the operator's: 5222 and 5223 are open",
        }),
      ),
    web: z
      .looseObject({
        host: z.string().max(255).optional().describe("Refused: nodes listen on every address."),
        port: z.int().min(0).max(65535).optional().describe("Refused: the port is 5443."),
      })
      .optional()
      .describe("The door for web clients, but for its address and port.")
      .meta(
        checked({
          rule: "!has(self.host) && !has(self.port)",
          message: "web.host and web.port are the operator's: 5443 is open",
        }),
      ),
  })
  .optional()
  .describe(
    "Further options of the nodes, as in their configuration file; a change rolls the nodes.",
  )
  .meta(
    checked(
      ...Object.entries(HANDS_OFF).map(([key, why]) => ({
        rule: `!has(self.${key})`,
        message: `${key} can not be given here: ${why}`,
      })),
    ),
  );

const etcd = z
  .strictObject({
    endpoints: set(
      z
        .string()
        .max(300)
        .regex(/^https?:\/\/[A-Za-z0-9.:[\]-]+$/),
      "URLs of the etcd members, with ports.",
      9,
    ),
    prefix: z
      .string()
      .min(1)
      .max(200)
      .regex(/^\/[A-Za-z0-9._/-]*$/)
      .optional()
      .describe("All keys of this cluster start with it; /zonda/<namespace>/<name>/ by default."),
    secretName: secretName("Secret whose keys username and password log in to etcd."),
  })
  .describe("Where the nodes agree on who holds which session.");

const cassandra = z
  .strictObject({
    contactPoints: set(
      z
        .string()
        .min(1)
        .max(300)
        .regex(/^[A-Za-z0-9.:[\]-]+$/),
      "Cassandra nodes to ask first, host or host:port.",
      50,
    ),
    localDatacenter: z
      .string()
      .min(1)
      .max(100)
      .regex(/^[A-Za-z0-9._-]+$/)
      .describe("The Cassandra datacenter to read and write in."),
    keyspace: z
      .string()
      .min(1)
      .max(48)
      .regex(/^[a-zA-Z][a-zA-Z0-9_]*$/)
      .describe("Where accounts and messages are; made when missing.")
      .meta(
        checked({
          rule: "self == oldSelf",
          message:
            "keyspace can not change: accounts and messages are in the old one; make a new XmppCluster",
        }),
      ),
    replicationFactor: bounded(
      "Copies of each row, used when the keyspace is made.",
      1,
      20,
    ).optional(),
    secretName: secretName("Secret whose keys username and password log in to Cassandra."),
  })
  .describe("Where accounts, rosters and messages are kept.");

const update = z
  .strictObject({
    maxSurge: bounded("Nodes that may run above spec.replicas.", 0, 100).default(1),
    maxUnavailable: bounded("Nodes that may be missing from spec.replicas.", 0, 100).default(0),
    drain: z
      .strictObject({
        deadlineSeconds: bounded("A node that stops has exited this long after.", 1, 3600).default(
          60,
        ),
        disconnectsPerSecond: bounded(
          "Clients a stopping node sends away each second.",
          1,
          100000,
        ).default(200),
      })
      .prefault({})
      .describe("How a node that stops hands over its clients."),
    progressDeadlineSeconds: bounded(
      "Without progress for this long an update is reported as stalled.",
      10,
      86400,
    ).default(600),
  })
  .prefault({})
  .describe("How nodes are replaced.")
  .meta(
    checked({
      rule: "self.maxSurge + self.maxUnavailable > 0",
      message: "maxSurge and maxUnavailable can not both be 0: no node could ever be replaced",
    }),
  );

const service = z
  .strictObject({
    type: z
      .enum(["ClusterIP", "NodePort", "LoadBalancer"])
      .default("ClusterIP")
      .describe("How the Services for clients, web clients and servers are reached."),
    annotations: z
      .record(z.string(), z.string().max(1024))
      .optional()
      .describe("Annotations of these Services, for the load balancer.")
      .meta({ maxProperties: 50 }),
  })
  .prefault({})
  .describe("The Services for clients (5222, 5223), web clients (5443) and servers (5269).");

const PREFIX_IMMUTABLE: Rule = {
  rule: "has(self.etcd.prefix) == has(oldSelf.etcd.prefix) && (!has(self.etcd.prefix) || self.etcd.prefix == oldSelf.etcd.prefix)",
  message:
    "etcd.prefix can not change: nodes under two prefixes do not know each other; make a new XmppCluster",
  fieldPath: ".etcd",
};

const DIGEST_FOLLOWS_VERSION: Rule = {
  rule: "self.version == oldSelf.version || !has(self.image.digest) || !has(oldSelf.image.digest) || self.image.digest != oldSelf.image.digest",
  message:
    "version changes but image.digest stays: the same build would run; change the digest as well, or leave it out",
  fieldPath: ".image",
};

const OWN_CERTIFICATES_ARE_SERVED: Rule = {
  rule: "!has(self.tls) || !has(self.tls.domains) || self.tls.domains.all(own, own.domain in self.domains)",
  message: "tls.domains names a domain that is not in domains",
  fieldPath: ".tls",
};

const ONE_PROXY: Rule = {
  rule: "!has(self.tls) || self.tls.endsAt != 'Proxy' || !has(self.config) || !has(self.config.c2s) || !has(self.config.c2s.proxied)",
  message: "config.c2s.proxied is the operator's where tls.endsAt is Proxy",
  fieldPath: ".config",
};

export const specSchema = z
  .strictObject({
    version: z
      .string()
      .min(5)
      .max(63)
      .describe("The version to run: tag of the image, and what nodes report.")
      .meta(
        checked({
          rule: "self.matches('^[0-9]+\\\\.[0-9]+\\\\.[0-9]+(-[0-9A-Za-z.-]*[0-9A-Za-z])?$')",
          message: "version must be like 2.4.1 or 2.4.1-rc.1",
        }),
      ),
    image,
    replicas: bounded(
      "How many nodes serve; `kubectl scale` and autoscalers write it.",
      1,
      100,
    ).default(3),
    domains: set(
      z
        .string()
        .min(1)
        .max(253)
        .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/),
      "The domains the service answers for, in lower case; IDNs as xn-- labels.",
      50,
    ),
    config,
    etcd,
    cassandra,
    tls: z
      .strictObject({
        secretName: secretName(
          "Secret of type kubernetes.io/tls; the operator issues one when left out.",
        ),
        domains: z
          .array(
            z.strictObject({
              domain: z.string().min(1).max(253).describe("One of spec.domains."),
              secretName: z
                .string()
                .min(1)
                .max(253)
                .regex(SECRET_NAME)
                .describe("Secret of type kubernetes.io/tls."),
            }),
          )
          .max(50)
          .optional()
          .describe("Domains with a certificate of their own.")
          .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["domain"] }),
        endsAt: z
          .enum(["Node", "Proxy"])
          .default("Node")
          .describe(
            "Who does TLS from the first byte (5223): the node, or a HAProxy beside it, with half the memory for each idle session, more processor time for each message, and no channel binding.",
          ),
        proxyResources: resources("Compute resources of each such HAProxy."),
      })
      .prefault({})
      .describe("The certificate that clients and servers see."),
    upload: z
      .strictObject({
        secretName: secretName(
          "Secret whose keys accessKeyId and secretAccessKey are those of config.upload.s3.",
        ),
      })
      .prefault({})
      .describe("Files of users, where config.upload.engine is s3."),
    update,
    resources: resources("Compute resources of each node."),
    service,
  })
  .describe("What should run.")
  .meta(checked(PREFIX_IMMUTABLE, DIGEST_FOLLOWS_VERSION, OWN_CERTIFICATES_ARE_SERVED, ONE_PROXY));

/** A spec with every default filled in. */
export type ClusterSpec = z.output<typeof specSchema>;
