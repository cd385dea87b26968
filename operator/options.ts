/** What the operator can be told: by flag, or by environment variable ZONDA_OPERATOR_<FLAG>. */
import { hostname } from "node:os";
import { parseArgs } from "node:util";

export interface OperatorOptions {
  /** The one namespace to work in; undefined for all. */
  readonly namespace: string | undefined;
  readonly hasLeaderElection: boolean;
  /** Where the Lease is. */
  readonly leaseNamespace: string;
  readonly identity: string;
  readonly httpPort: number;
  /** Undefined inside a pod, where the service account says it all. */
  readonly kubeconfig: string | undefined;
  readonly logLevel: LogLevel;
}

const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
type LogLevel = (typeof LOG_LEVELS)[number];

export const USAGE = `zonda-operator: runs XmppClusters
  --namespace NAME             work in this namespace only (all)
  --[no-]leader-election       of several operators let one work (on)
  --lease-namespace NAME       where the Lease is (the pod's namespace)
  --metrics-port PORT          /metrics, /healthz and /readyz (8080)
  --kubeconfig FILE            outside of a cluster
  --log-level LEVEL            ${LOG_LEVELS.join(", ")} (info)
Each is also read from the environment, as ZONDA_OPERATOR_METRICS_PORT and so on.`;

const FLAGS = {
  namespace: { type: "string" },
  "leader-election": { type: "boolean" },
  "lease-namespace": { type: "string" },
  "metrics-port": { type: "string" },
  kubeconfig: { type: "string" },
  "log-level": { type: "string" },
} as const;

/** @throws Error naming the option and what it takes */
export function readOptions(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): OperatorOptions {
  const { values } = parseArgs({ args: [...args], options: FLAGS, allowNegative: true });
  const text = (name: keyof typeof FLAGS): string | undefined => {
    const variable = environment[`ZONDA_OPERATOR_${name.replaceAll("-", "_").toUpperCase()}`];
    const value = values[name] ?? variable;
    return value === undefined || value === "" ? undefined : String(value);
  };
  const namespace = text("namespace");
  const pod = environment.POD_NAMESPACE;
  return {
    namespace,
    hasLeaderElection: isOn("leader-election", text("leader-election") ?? "true"),
    leaseNamespace: text("lease-namespace") ?? pod ?? namespace ?? "default",
    identity: environment.POD_NAME ?? hostname(),
    httpPort: port("metrics-port", text("metrics-port") ?? "8080"),
    kubeconfig: text("kubeconfig"),
    logLevel: level(text("log-level") ?? "info"),
  };
}

function isOn(name: string, value: string): boolean {
  if (value !== "true" && value !== "false") {
    throw new Error(`Cannot use --${name} ${value}: it is true or false`);
  }
  return value === "true";
}

function port(name: string, value: string): number {
  const number = Number(value);
  if (!/^\d{1,5}$/.test(value) || number > 65_535) {
    throw new Error(`Cannot use --${name} ${value}: it is a port from 0 to 65535`);
  }
  return number;
}

function level(value: string): LogLevel {
  const known = LOG_LEVELS.find((candidate) => candidate === value);
  if (known !== undefined) return known;
  throw new Error(`Cannot use --log-level ${value}: it is one of ${LOG_LEVELS.join(", ")}`);
}
