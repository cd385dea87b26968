/** The etcd client, set up so that no call waits for ever and none is repeated behind our back. */
import { isIP } from "node:net";
import { rootCertificates } from "node:tls";
import type { IOptions, KVClient, LeaseClient, WatchClient } from "etcd3";
import {
  Etcd3,
  EtcdLeaseInvalidError,
  GRPCDeadlineExceededError,
  GRPCUnavailableError,
} from "etcd3";
import { systemClock } from "../base/clock.ts";
import { ConfigError, Unavailable } from "../base/errors.ts";

export interface EtcdClientOptions {
  /** URLs, all http or all https. */
  readonly endpoints: readonly string[];
  /** PEM texts, for https. */
  readonly tls?: {
    /** Of the authority that signed the server's certificate; the public ones if left out. */
    readonly authority?: string | undefined;
    readonly certificate?: string | undefined;
    readonly key?: string | undefined;
  };
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly requestTimeoutMs: number;
}

/** What the routes need of etcd's client; the simulation brings its own. */
export interface EtcdClient {
  readonly kv: Pick<KVClient, "range" | "put" | "txn">;
  readonly leaseClient: Pick<
    LeaseClient,
    "leaseGrant" | "leaseRevoke" | "leaseTimeToLive" | "leaseKeepAlive"
  >;
  readonly watchClient: Pick<WatchClient, "watch">;
  close(): void;
}

type FaultHandling = NonNullable<IOptions["faultHandling"]>;
type Policy = NonNullable<FaultHandling["global"]>;
type Work<T> = (context: { signal: AbortSignal }) => PromiseLike<T> | T;

/** Pings a connection that is silent this long; the server refuses more than one in 5 s. */
const KEEPALIVE_MS = 6_000;
const KEEPALIVE_TIMEOUT_MS = 2_000;
/**
 * The default of 4 MiB is too little for a transaction that reads many users with many resources;
 * see OPERATIONS_MAX and PAGE_ROUTES in transactions.ts for what a reply can hold.
 */
const REPLY_BYTES_MAX = 64 * 1024 * 1024;

/**
 * No circuit breaker: the library's opens for five seconds on any recoverable error, a reply that
 * is too large among them. Our deadlines bound the wait, and gRPC backs off from dead servers.
 */
const passThrough = {
  execute: async <T>(work: Work<T>) => work({ signal: new AbortController().signal }),
} as unknown as Policy;

/** Tries each server once; only where the last one could not be reached at all. */
const tryEach = (servers: number): Policy => {
  const execute = async <T>(work: Work<T>): Promise<T> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work({ signal: new AbortController().signal });
      } catch (error) {
        if (!(error instanceof GRPCUnavailableError) || attempt >= servers) throw error;
      }
    }
  };
  return { execute } as unknown as Policy;
};

function credentialsOf({ endpoints, tls = {} }: EtcdClientOptions): Partial<IOptions> {
  if (!endpoints.some((endpoint) => endpoint.startsWith("https:"))) return {};
  for (const endpoint of endpoints) {
    // gRPC names the server by what stands in the URL, and Node refuses to send an address there.
    if (isIP(new URL(endpoint).hostname.replace(/^\[|\]$/g, "")) === 0) continue;
    const why = "over TLS an etcd endpoint needs a host name instead of an address";
    throw new ConfigError(`Cannot use ${endpoint}: ${why}`);
  }
  const { authority = rootCertificates.join("\n"), certificate, key } = tls;
  return {
    credentials: {
      rootCertificate: Buffer.from(authority),
      ...(key === undefined ? {} : { privateKey: Buffer.from(key) }),
      ...(certificate === undefined ? {} : { certChain: Buffer.from(certificate) }),
    },
  };
}

/** @throws ConfigError: an https endpoint without a host name */
export function openClient(options: EtcdClientOptions): Etcd3 {
  const { endpoints, username, password = "", requestTimeoutMs } = options;
  return new Etcd3({
    hosts: [...endpoints],
    ...credentialsOf(options),
    ...(username === undefined ? {} : { auth: { username, password } }),
    // A deadline on a stream would end it.
    defaultCallOptions: ({ isStream }) =>
      isStream ? {} : { deadline: systemClock.nowMs() + requestTimeoutMs },
    faultHandling: { global: tryEach(endpoints.length), host: () => passThrough },
    grpcOptions: {
      "grpc.keepalive_time_ms": KEEPALIVE_MS,
      "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
      // etcd takes a ping on a connection without calls for abuse, and closes it.
      "grpc.keepalive_permit_without_calls": 0,
      "grpc.max_receive_message_length": REPLY_BYTES_MAX,
      "grpc.initial_reconnect_backoff_ms": 200,
      "grpc.max_reconnect_backoff_ms": 2_000,
      "grpc.use_local_subchannel_pool": 1,
    },
  });
}

/** What went wrong, as our callers know it. @param what "read routes" */
export function unavailable(what: string, cause: unknown): Unavailable {
  if (cause instanceof Unavailable) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new Unavailable(codeOf(cause), `Cannot ${what}: ${why}`, { cause });
}

function codeOf(error: unknown): string {
  if (error instanceof GRPCDeadlineExceededError) return "routes-timeout";
  return isLeaseGone(error) ? "routes-lost-lease" : "routes-unavailable";
}

export const isLeaseGone = (error: unknown): boolean => error instanceof EtcdLeaseInvalidError;

/**
 * Ends a stream that is not wanted any more. Ended first: the library takes the cancellation of a
 * writable stream for a failure of the server and closes every connection to it.
 */
export function hangUp(stream: { end(): void; cancel(): void }): void {
  stream.end();
  stream.cancel();
}
