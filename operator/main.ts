/** The operator's composition root: options, Kubernetes, one leader, the loop; and their end. */
import { pino } from "pino";
import { collectDefaultMetrics, Registry } from "prom-client";
import { FIELD_MANAGER, GROUP } from "./api/names.ts";
import { openHealthServer } from "./health.ts";
import { kubeconfigAccess, podAccess } from "./kube/access.ts";
import { KubeClient } from "./kube/client.ts";
import { createEventRecorder } from "./kube/events.ts";
import type { LeaderElector } from "./kube/leader.ts";
import { createLeaderElector } from "./kube/leader.ts";
import { Rest } from "./kube/rest.ts";
import { systemClock, systemRandom } from "./loop/clock.ts";
import { createRuntimeMetrics } from "./loop/metrics.ts";
import type { OperatorOptions } from "./options.ts";
import { readOptions, USAGE } from "./options.ts";
import type { Operation } from "./reconcile/operation.ts";
import { createOperation } from "./reconcile/operation.ts";

const LEASE_NAME = "zonda-operator";
/** Longer than a pass and the release of the lease may take; shorter than the pod's grace. */
const STOP_DEADLINE_MS = 25_000;

async function main(options: OperatorOptions): Promise<void> {
  const log = pino({ level: options.logLevel, base: null });
  const clock = systemClock;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const metrics = createRuntimeMetrics(registry, clock);
  const { kubeconfig, identity, namespace } = options;
  const access = await (kubeconfig === undefined
    ? podAccess({ clock })
    : kubeconfigAccess(kubeconfig, clock));
  const rest = new Rest(access, clock, metrics, "zonda-operator");
  const plain = new KubeClient(rest, { fieldManager: FIELD_MANAGER });
  let elector: LeaderElector | undefined;
  const mayWrite = () => elector === undefined || elector.isLeading();
  const kube = new KubeClient(rest, { fieldManager: FIELD_MANAGER, mayWrite });
  const shared = { clock, random: systemRandom, log, metrics };
  const events = createEventRecorder({
    ...shared,
    kube: plain,
    controller: `${GROUP}/operator`,
    instance: identity,
  });
  const operation = createOperation({ ...shared, kube, source: plain, events, namespace });
  const health = await openHealthServer(options.httpPort, registry, operation.isReady);
  log.info({ port: health.port, server: access.server, namespace }, "operator.started");

  const ending = new AbortController();
  if (options.hasLeaderElection) {
    elector = lead(options, { ...shared, kube: plain }, operation);
    elector.start();
  } else operation.start(ending.signal);

  const signal = await nextSignal();
  log.info({ signal }, "operator.stopping");
  setTimeout(() => process.exit(1), STOP_DEADLINE_MS).unref();
  ending.abort(new Error("Cannot go on: the operator stops"));
  await elector?.stop(); // Ends the work, then gives the lease back.
  await operation.close();
  await events.stop();
  await Promise.all([health.close(), access.close()]);
  log.info({}, "operator.stopped");
}

function lead(
  { leaseNamespace, identity }: OperatorOptions,
  shared: Pick<
    Parameters<typeof createLeaderElector>[0],
    "kube" | "clock" | "random" | "log" | "metrics"
  >,
  operation: Operation,
): LeaderElector {
  // A container that was restarted in the same pod is another leader.
  const run = Math.floor(shared.random() * 2 ** 32).toString(16);
  return createLeaderElector({
    ...shared,
    key: { namespace: leaseNamespace, name: LEASE_NAME },
    identity: `${identity}_${run}`,
    onStarted: (signal) => operation.start(signal),
    onStopped: () => operation.stop(),
  });
}

/** A second signal ends the process at once, as Node does by default. */
const nextSignal = (): Promise<string> =>
  new Promise((resolve) => {
    for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => resolve(name));
  });

if (process.argv.includes("--help")) console.log(USAGE);
else {
  try {
    await main(readOptions(process.argv.slice(2), process.env));
  } catch (error) {
    console.error(`Cannot run the operator: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
