/** Every option of a node that is not a module's own: see `zonda config schema`. */
import { hostname } from "node:os";
import { z } from "zod";
import { components, isLoopbackOnly } from "./components.ts";
import {
  byName,
  choice,
  choices,
  file,
  flag,
  integer,
  list,
  optionalInteger,
  optionalText,
  pem,
  port,
  requiredFile,
  secret,
  section,
  text,
} from "./options.ts";
import { upload } from "./upload.ts";
import { web } from "./web.ts";

const clientTls = section("How to reach the server over TLS; plain TCP when left out.", {
  authority: file("PEM file of the authority that signed the server's certificate."),
  certificate: file("PEM file of our own client certificate, if the server asks for one."),
  key: file("PEM file of the client certificate's key."),
});

const store = section("Where accounts, rosters and offline messages are kept.", {
  engine: choice(["sqlite", "cassandra"], {
    about: "sqlite: embedded, for one node. cassandra: for clusters.",
    default: "sqlite",
  }),
  cassandra: section("Used when store.engine is cassandra.", {
    contactPoints: list({
      about: "Addresses of Cassandra nodes, host:port.",
      default: ["127.0.0.1:9042"],
      max: 50,
    }),
    localDatacenter: text({
      about: "The datacenter to read and write in.",
      default: "datacenter1",
    }),
    keyspace: text({ about: "The keyspace; created when missing.", default: "zonda" }),
    replicationFactor: integer({
      about: "Copies of each row, used when the keyspace is created.",
      default: 3,
      min: 1,
      max: 20,
    }),
    username: optionalText({ about: "Name to log in to Cassandra with." }),
    password: secret("Password to log in to Cassandra with."),
    tls: clientTls,
    requestTimeoutMs: integer({
      about: "A request without an answer after this long has failed.",
      default: 2_000,
      min: 100,
      max: 60_000,
    }),
  }),
});

const routes = section("Where it is agreed which node holds which session.", {
  engine: choice(["memory", "etcd"], {
    about: "memory: this node alone. etcd: for clusters.",
    default: "memory",
  }),
  cacheUsersMax: integer({
    about: "Users whose routes a node remembers at most.",
    default: 100_000,
    min: 100,
    max: 10_000_000,
  }),
  etcd: section("Used when routes.engine is etcd.", {
    endpoints: list({
      about: "URLs of the etcd members.",
      default: ["http://127.0.0.1:2379"],
      max: 9,
    }),
    prefix: text({ about: "All keys of this cluster start with it.", default: "/zonda/" }),
    leaseSeconds: integer({
      about: "How long after its death a node's sessions are still found.",
      default: 10,
      min: 3,
      max: 120,
    }),
    username: optionalText({ about: "Name to log in to etcd with." }),
    password: secret("Password to log in to etcd with."),
    tls: clientTls,
    requestTimeoutMs: integer({
      about: "A request without an answer after this long has failed.",
      default: 3_000,
      min: 100,
      max: 60_000,
    }),
  }),
});

const c2s = section("The door for clients.", {
  host: text({ about: "Address to listen on.", default: "0.0.0.0" }),
  port: port("Port for XMPP with STARTTLS.", 5222),
  directTls: section("XEP-0368: TLS from the first byte.", {
    port: optionalInteger({ about: "Port; not offered when left out.", min: 0, max: 65_535 }),
  }),
  proxied: section(
    "Clients that come through a TCP proxy which speaks the PROXY protocol, 1 or 2.",
    {
      port: optionalInteger({
        about:
          "Port for STARTTLS, TLS from the first byte, or TLS that the proxy has ended; not offered when left out.",
        min: 0,
        max: 65_535,
      }),
      trustedProxies: list({
        about:
          "Addresses and networks of those proxies; others are turned away. What they say of a client's address and TLS is believed.",
        min: 0,
        max: 100,
        default: ["127.0.0.1", "::1"],
      }),
    },
  ),
  tls: choice(["required", "offered"], {
    about: "required: nothing is said before TLS. offered: a client on loopback may go without.",
    default: "required",
  }),
  plaintextAuthOnLoopback: flag({
    about: "Lets clients on 127.0.0.1 and ::1 log in without TLS when c2s.tls is offered.",
    default: false,
  }),
  stanzaBytesMax: integer({
    about: "Largest stanza accepted from a client that has logged in.",
    default: 262_144,
    min: 10_000,
    max: 8_000_000,
  }),
  connectionsMax: integer({
    about: "Connections held at once.",
    default: 19_000,
    min: 1,
    max: 1_000_000,
  }),
  sessionsPerUserMax: integer({
    about: "Sessions of one user on all nodes together, those that wait for a client among them.",
    default: 100,
    min: 1,
    max: 1_000,
  }),
  connectionsPerAddressMax: integer({
    about: "Connections from one address to this node at once; 0 for no limit.",
    default: 1_000,
    min: 0,
    max: 1_000_000,
  }),
  failedLoginsPerAddressPerMinute: integer({
    about:
      "Wrong passwords from one address, on all nodes within about a second of each other, before " +
      "it must wait; 0 for no limit.",
    default: 60,
    min: 0,
    max: 100_000,
  }),
  failedLoginsPerAccountPerMinute: integer({
    about:
      "Wrong passwords for one account, counted so, before only addresses that it has logged in " +
      "from on that node may use its password; tokens and certificates may. 0 for no limit.",
    default: 60,
    min: 0,
    max: 100_000,
  }),
  negotiationSeconds: integer({
    about: "Time a client has from connecting to having bound a resource.",
    default: 30,
    min: 1,
    max: 600,
  }),
  outboxStanzasMax: integer({
    // A burst to a client that is busy for a moment must not cost its session; 16 MiB are the bound.
    about: "Stanzas a client may leave unacknowledged before it is disconnected.",
    default: 5_000,
    min: 10,
    max: 100_000,
  }),
  resumeSeconds: integer({
    about: "How long a client that lost its connection may resume its session; 0 for not at all.",
    default: 300,
    min: 0,
    max: 86_400,
  }),
  mirrored: flag({
    about: "In a cluster, a second node has a copy of each session that can be resumed.",
    default: true,
  }),
  detachedMax: integer({
    about: "Sessions kept for clients that lost their connection; beyond it the oldest end.",
    default: 20_000,
    min: 1,
    max: 1_000_000,
  }),
});

const mesh = section("Node to node; used when routes.engine is etcd.", {
  host: text({ about: "Address to listen on.", default: "0.0.0.0" }),
  port: port("Port to listen on.", 5280),
  advertise: optionalText({
    about: "Address other nodes reach this one at; node.name if left out.",
  }),
  serverName: text({
    about: "The name every node's certificate carries.",
    default: "node.zonda.internal",
  }),
  tls: section("Mutual TLS: only nodes that this authority signed for can join.", {
    authority: file("PEM file of the cluster's certificate authority."),
    certificate: file("PEM file of this node's certificate."),
    key: file("PEM file of the certificate's key."),
  }),
});

/** Modules that are not the node's own; see docs/modules.md. */
const externalModules = list({
  about:
    "Modules from outside: paths from the working directory, or packages. Trusted as the node.",
  default: [],
  min: 0,
  max: 100,
});

/** Read first: which modules there are decides what other options there are. */
export const externalSchema = z.looseObject({
  modules: z.looseObject({ external: externalModules }).prefault({}),
});

/** The sections of a node's configuration, without the modules' own. */
const nodeOptions = {
  domains: list({
    about: "The domains this service answers for.",
    default: ["localhost"],
    max: 1_000,
  }),
  data: text({
    about: "Directory for the embedded store and self-made certificates.",
    default: "data",
  }),
  node: section("Who this node is.", {
    name: text({ about: "Its name, for people.", default: hostname() }),
    zone: text({ about: "Failure zone it runs in.", default: "default" }),
  }),
  store,
  routes,
  c2s,
  web,
  upload,
  tls: section("The domains' certificate; one is made and kept in `data` when left out.", {
    certificate: file("PEM file with the certificate chain; read again when it changes."),
    key: file("PEM file with the private key."),
    domains: byName("Certificates of single domains, as {a.example: {certificate, key}}.", 1_000, {
      certificate: requiredFile("PEM file with the certificate chain; read again when it changes."),
      key: requiredFile("PEM file with the private key."),
    }),
  }),
  auth: section("Logging in.", {
    scramIterations: integer({
      about: "PBKDF2 rounds of passwords stored from now on (RFC 7677: at least 4096).",
      default: 10_000,
      min: 4_096,
      max: 1_000_000,
    }),
    mechanisms: choices(["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"], {
      about: "Ways to log in with a password; SCRAM includes its -PLUS. All if left out.",
    }),
    anonymousDomains: list({
      about: "Those of the domains that are for guests: SASL ANONYMOUS alone, nothing is kept.",
      default: [],
      min: 0,
      max: 1_000,
    }),
    tokens: section("Tokens that clients log in with instead of a password (XEP-0484).", {
      lifetimeDays: integer({
        about: "How long a client may stay away and still log in with its token; 0 for no tokens.",
        default: 21,
        min: 0,
        max: 365,
      }),
      clientsMax: integer({
        about: "Clients of one user that may have a token; the one with the oldest makes room.",
        default: 20,
        min: 1,
        max: 1_000,
      }),
    }),
    clientCertificates: section("SASL EXTERNAL with client certificates (XEP-0178).", {
      authority: pem("Who may sign them, a PEM file or its text; they are not asked for without."),
    }),
  }),
  registration: section("XEP-0077: clients make accounts by themselves.", {
    enabled: flag({ about: "Open to everybody who can connect.", default: false }),
    captcha: flag({
      about: "XEP-0158: whoever makes an account has to read letters from a picture.",
      default: false,
    }),
    perAddressPerHour: integer({
      about: "Accounts one address may make in an hour on this node; 0 for no limit.",
      default: 20,
      min: 0,
      max: 1_000_000,
    }),
  }),
  components,
  mesh,
  http: section("Health and metrics.", {
    host: text({ about: "Address to listen on.", default: "127.0.0.1" }),
    port: port("Port to listen on.", 8080),
  }),
  overload: section("What a node puts off when it is behind.", {
    loopDelayMs: integer({
      about:
        "From this delay on history is refused for now, of the event loop or of what clients send; from five " +
        "times as much, of the loop or of who is new, most new connections are. 0: nothing is.",
      default: 200,
      min: 0,
      max: 60_000,
    }),
  }),
  drain: section("What happens on SIGTERM.", {
    deadlineSeconds: integer({
      about: "The node exits at the latest this long after.",
      default: 60,
      min: 1,
      max: 3_600,
    }),
    disconnectsPerSecond: integer({
      about: "Clients sent elsewhere each second.",
      default: 200,
      min: 1,
      max: 100_000,
    }),
  }),
  log: section("What the node writes to standard output.", {
    level: choice(["trace", "debug", "info", "warn", "error", "fatal"], {
      about: "The least important level written.",
      default: "info",
    }),
    format: choice(["auto", "json", "pretty"], {
      about: "auto: pretty on a terminal, JSON otherwise.",
      default: "auto",
    }),
  }),
};

/** The whole schema of a node, given the modules' options by module name. */
export const configurationSchema = <M extends z.ZodRawShape>(modules: M) =>
  z
    .strictObject({
      ...nodeOptions,
      modules: section("Options of the modules, by name.", {
        external: externalModules,
        ...modules,
      }),
    })
    .superRefine((config, context) => {
      const refuse = (path: string[], message: string) =>
        context.addIssue({ code: "custom", path, message });
      if ((config.tls.certificate === undefined) !== (config.tls.key === undefined)) {
        refuse(["tls"], "certificate and key must be given together");
      }
      const { url } = config.web;
      if (url !== undefined && !/^https?:\/\/[^\s/?#]+(?:\/[^\s?#]*)?$/.test(url)) {
        refuse(["web", "url"], "must be like https://chat.example.org");
      }
      if (config.web.port !== undefined && !config.web.tls && url === undefined) {
        refuse(
          ["web", "url"],
          "is needed when web.tls is off: clients are told where the proxy is",
        );
      }
      if (config.c2s.plaintextAuthOnLoopback && config.c2s.tls === "required") {
        refuse(["c2s", "plaintextAuthOnLoopback"], "needs c2s.tls to be offered");
      }
      const { port, tls, host } = config.components;
      if (port !== undefined && !tls && !isLoopbackOnly(host)) {
        refuse(["components", "tls"], "is needed on any address but loopback");
      }
      for (const domain of config.auth.anonymousDomains) {
        if (config.domains.includes(domain)) continue;
        refuse(["auth", "anonymousDomains"], `${domain} is not one of the domains`);
      }
      if (config.routes.engine !== "etcd") return;
      if (config.store.engine !== "cassandra") {
        refuse(["store", "engine"], "must be cassandra when routes.engine is etcd: nodes share it");
      }
      const { authority, certificate, key } = config.mesh.tls;
      if (authority === undefined || certificate === undefined || key === undefined) {
        refuse(["mesh", "tls"], "authority, certificate and key are needed in a cluster");
      }
    });

/** A node's configuration, every default filled in; modules' options under `modules`. */
export type Configuration = z.output<ReturnType<typeof configurationSchema<z.ZodRawShape>>>;
