/** HAProxy beside a node: it ends the TLS of clients, and tells the node where they come from. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { configurationSchema } from "../../node/config/schema.ts";
import type { Cluster } from "../api/xmpp-cluster.ts";
import { domainFolder, PORTS } from "./settings.ts";

/** Where it finds its files; one projected volume. */
export const PROXY_DIRECTORY = "/etc/zonda-proxy";

export interface ProxySettings {
  /** Where its own files are. */
  readonly folder: string;
  /** "127.0.0.1:5223"; without an address, on every one. */
  readonly listen: string;
  /** The node's `c2s.proxied.port`. */
  readonly to: number;
  /** What the node takes: beyond it, the node can say so, which the proxy cannot. */
  readonly connectionsMax: number;
  /** PEM, in a file that ends in `.crt`; its key is beside it, in one that ends in `.key`. */
  readonly certificate: string;
  /** Likewise, of domains that have their own. */
  readonly domains: Readonly<Record<string, string>>;
  /** How often it looks at these files. */
  readonly lookSeconds: number;
}

export function proxySettings({ spec }: Cluster): ProxySettings {
  const file = (folder: string) => path.posix.join(PROXY_DIRECTORY, folder, "tls.crt");
  return {
    folder: PROXY_DIRECTORY,
    listen: `:${PORTS.directTls}`,
    to: PORTS.proxied,
    connectionsMax: connectionsMax(spec),
    certificate: file("tls"),
    domains: Object.fromEntries(
      (spec.tls.domains ?? []).map(({ domain }) => [domain, file(domainFolder(domain))]),
    ),
    lookSeconds: 20,
  };
}

const NODE = configurationSchema({});

/** The node's own default where it is not asked for, or asked for in vain: it will not start then. */
function connectionsMax({ config }: Cluster["spec"]): number {
  const asked = NODE.safeParse({ c2s: config?.c2s ?? {} });
  return (asked.success ? asked.data : NODE.parse({})).c2s.connectionsMax;
}

const FILES = {
  "haproxy.cfg": configuration,
  "certificates.list": certificates,
  "certificates.lua": () =>
    readFileSync(path.join(import.meta.dirname, "certificates.lua"), "utf8"),
};

export const PROXY_FILES: readonly string[] = Object.keys(FILES);

/** Text by the name of the file. */
export const proxyFiles = (settings: ProxySettings): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(FILES).map(([name, text]) => [name, text(settings)]));

/** A connection from and one to, for each client; and what it needs besides. */
const descriptors = (clients: number): number => 2 * clients + 200;

/**
 * One thread: a node has one, too. The most connections there can be follow from the descriptors, fewer
 * where the system gives fewer. A node sends something to a silent client, or drops it, long before an
 * hour is over.
 */
function configuration({ folder, listen, to, ...settings }: ProxySettings): string {
  const list = path.posix.join(folder, "certificates.list");
  return `global
  nbthread 1
  fd-hard-limit ${descriptors(settings.connectionsMax)}
  log stdout format raw daemon notice
  ssl-default-bind-options ssl-min-ver TLSv1.2
  ssl-load-extra-del-ext
  setenv CERTIFICATES ${list}
  setenv LOOK_SECONDS ${settings.lookSeconds}
  lua-load ${path.posix.join(folder, "certificates.lua")}
defaults
  mode tcp
  log global
  timeout connect 5s
  timeout client 1h
  timeout client-fin 10s
  timeout server 1h
  timeout server-fin 10s
frontend clients
  bind ${listen} ssl crt-list ${list} alpn xmpp-client
  default_backend node
backend node
  server node 127.0.0.1:${to} send-proxy-v2-ssl
`;
}

/**
 * For whom each certificate is: as the node does it, the first is for those who name no domain that has its
 * own, whatever names stand in it.
 */
function certificates({ certificate, domains }: ProxySettings): string {
  const own = Object.entries(domains).map(([domain, file]) => `${file} ${domain}\n`);
  return [`${certificate} !*\n`, ...own].join("");
}
