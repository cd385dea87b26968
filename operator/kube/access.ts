/** Where the API server is and how to prove who we are: inside a pod by the mounted service
 * account, outside by a kubeconfig file. All requests share one pool of connections. */
import { readFile } from "node:fs/promises";
import { isIPv6 } from "node:net";
import type { RequestContext } from "@kubernetes/client-node";
import type { Dispatcher } from "undici";
import { Agent } from "undici";
import type { Clock } from "../loop/clock.ts";

/** What a request needs; asked for anew by each, because tokens and certificates rotate. */
export interface Credentials {
  readonly headers: Readonly<Record<string, string>>;
  readonly dispatcher: Dispatcher;
}

export interface Access {
  /** Address without a trailing slash. */
  readonly server: string;
  credentials(): Promise<Credentials>;
  /** Drops all connections. */
  close(): Promise<void>;
}

/** How long a file or a certificate is trusted to be unchanged; client-go looks as often. */
const FRESH_MS = 60_000;
const CONNECTIONS_MAX = 64;
const CONNECT_TIMEOUT_MS = 10_000;
/** Load balancers forget silent connections after a minute; the probe comes earlier. */
const KEEP_ALIVE_DELAY_MS = 30_000;
const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** One pool. `ca` absent: the system's authorities, or plain HTTP. */
function createPool(ca?: string): Agent {
  return new Agent({
    connections: CONNECTIONS_MAX,
    connectTimeout: CONNECT_TIMEOUT_MS,
    // Deadlines are our own, per request: a watch may be silent for long.
    headersTimeout: 0,
    bodyTimeout: 0,
    // Over HTTP/2 an aborted request can leave Node 26 in an endless loop inside
    // Http2Session::SendPendingData, taking all memory: seen in a few of a hundred runs.
    allowH2: false,
    connect: {
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
      ...(ca === undefined ? {} : { ca }),
    },
  });
}

export interface TokenAccess {
  readonly server: string;
  readonly token: string;
  /** PEM text. */
  readonly ca?: string;
}

/** A fixed token, as tests and other programs have it. */
export function tokenAccess({ server, token, ca }: TokenAccess): Access {
  const dispatcher = createPool(ca);
  const credentials = { headers: { authorization: `Bearer ${token}` }, dispatcher };
  return {
    server: server.replace(/\/+$/, ""),
    credentials: async () => credentials,
    close: () => dispatcher.destroy(),
  };
}

export interface PodAccessOptions {
  readonly clock: Clock;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Folder with `token` and `ca.crt`. */
  readonly folder?: string;
}

/** The mounted service account. Token and authority are read again every minute, because the
 * kubelet replaces them. Throws when not run in a pod. */
export async function podAccess(options: PodAccessOptions): Promise<Access> {
  const { clock, environment = process.env, folder = SERVICE_ACCOUNT } = options;
  const host = environment.KUBERNETES_SERVICE_HOST;
  const port = environment.KUBERNETES_SERVICE_PORT ?? "443";
  if (host === undefined || host === "") {
    throw new Error("Cannot find the API server: not in a pod, KUBERNETES_SERVICE_HOST is not set");
  }
  let ca: string | undefined;
  let pool: Agent | undefined;
  let current: Credentials | undefined;
  let readMs = 0;
  async function credentials(): Promise<Credentials> {
    if (current !== undefined && clock.monotonicMs() - readMs < FRESH_MS) return current;
    const [token, authority] = await Promise.all([
      readFile(`${folder}/token`, "utf8"),
      readFile(`${folder}/ca.crt`, "utf8"),
    ]);
    if (pool === undefined || authority !== ca) {
      // Watches on the old pool end by themselves; then it closes.
      pool?.close().catch(() => {});
      pool = createPool(authority);
      ca = authority;
    }
    readMs = clock.monotonicMs();
    current = { headers: { authorization: `Bearer ${token.trim()}` }, dispatcher: pool };
    return current;
  }
  await credentials();
  return {
    server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    credentials,
    close: async () => pool?.destroy(),
  };
}

/** A kubeconfig file, with everything such files may hold: certificates, exec plugins, proxies. The
 * library that understands them costs 80 MB of memory, so a pod never loads it. */
export async function kubeconfigAccess(path: string, clock: Clock): Promise<Access> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  config.loadFromFile(path);
  const server = config.getCurrentCluster()?.server;
  if (server === undefined)
    throw new Error(`Cannot use ${path}: its current context has no cluster`);
  let dispatcher: Dispatcher | undefined;
  let madeMs = 0;
  async function credentials(): Promise<Credentials> {
    const headers: Record<string, string> = {};
    let offered: Dispatcher | undefined;
    const context = {
      setHeaderParam: (name: string, value: string) => {
        headers[name.toLowerCase()] = value;
      },
      setDispatcher: (value: Dispatcher) => {
        offered = value;
      },
    };
    await config.applySecurityAuthentication(context as unknown as RequestContext);
    // It offers a new pool per call, and with it a new connection; one is enough until it is old.
    if (dispatcher === undefined || clock.monotonicMs() - madeMs > FRESH_MS * 10) {
      dispatcher?.close().catch(() => {});
      dispatcher = offered ?? createPool();
      madeMs = clock.monotonicMs();
    }
    return { headers, dispatcher };
  }
  return {
    server: server.replace(/\/+$/, ""),
    credentials,
    close: async () => dispatcher?.destroy(),
  };
}
