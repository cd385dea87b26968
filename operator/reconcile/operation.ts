/**
 * Watches everything an XmppCluster is made of, and runs the reconcile while it is told to.
 * The stores stay warm between terms, so a new leader begins at once.
 */
import { API_VERSION, CLUSTER_LABEL, KIND } from "../api/names.ts";
import type { XmppCluster } from "../api/xmpp-cluster.ts";
import type { Pod, ReplicaSet } from "../build/kinds.ts";
import { KINDS } from "../build/kinds.ts";
import { clusterOf } from "../build/names.ts";
import type { Source } from "../kube/client.ts";
import type { EventRecorder, Informer, Kube, KubeObject, Selection } from "../kube/contract.ts";
import { keyOf } from "../kube/contract.ts";
import type { InformerMetrics } from "../kube/informer.ts";
import { createInformer } from "../kube/informer.ts";
import type { Clock, Random } from "../loop/clock.ts";
import type { Controller, Logger } from "../loop/contract.ts";
import type { ControllerMetrics } from "../loop/controller.ts";
import { createController } from "../loop/controller.ts";
import { createExpectations } from "../loop/expectations.ts";
import type { WatchedKind } from "./observe.ts";
import { reconcile } from "./reconcile.ts";

export interface OperationOptions {
  readonly kube: Kube;
  readonly source: Source;
  readonly events: EventRecorder;
  /** The one namespace to work in; undefined for all. */
  readonly namespace: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: InformerMetrics & ControllerMetrics & { observe(informer: Informer): void };
}

export interface Operation {
  /** Whether everything that is watched was seen at least once. */
  isReady(): boolean;
  /** Reconciles until `stop`, or until the signal fires. */
  start(signal: AbortSignal): void;
  /** Resolves when no pass runs any more. It can be started again. */
  stop(): Promise<void>;
  /** Ends the watches as well. */
  close(): Promise<void>;
}

export function createOperation(options: OperationOptions): Operation {
  const { namespace } = options;
  const everywhere: Selection = namespace === undefined ? {} : { namespace };
  const labelled: Selection = { ...everywhere, labelSelector: CLUSTER_LABEL };
  const informer = <T extends KubeObject>(
    apiVersion: string,
    kind: string,
    selection: Selection,
  ): Informer<T> => {
    const made = createInformer<T>({ ...options, apiVersion, kind, selection });
    options.metrics.observe(made);
    return made;
  };
  const watch = <T extends KubeObject>(kind: WatchedKind) =>
    informer<T>(KINDS[kind], kind, labelled);
  const clusters = informer<XmppCluster>(API_VERSION, KIND, everywhere);
  const stores = {
    ConfigMap: watch("ConfigMap"),
    NetworkPolicy: watch("NetworkPolicy"),
    Pod: watch<Pod>("Pod"),
    PodDisruptionBudget: watch("PodDisruptionBudget"),
    ReplicaSet: watch<ReplicaSet>("ReplicaSet"),
    Service: watch("Service"),
    ServiceAccount: watch("ServiceAccount"),
  };
  let controller: Controller | undefined;
  clusters.onChange((key) => controller?.enqueue(key));
  for (const [kind, store] of Object.entries(stores)) {
    store.onChange((key) => controller?.enqueue(clusterOf(kind as WatchedKind, key)));
  }
  const informers: readonly Informer[] = [clusters, ...Object.values(stores)];
  for (const each of informers) each.start();

  const begin = (): Controller => {
    const { kube, events, clock } = options;
    const storeOf = (apiVersion: string, kind: string) =>
      informers.find((each) => each.apiVersion === apiVersion && each.kind === kind);
    const expectations = createExpectations({ ...options, storeOf });
    const world = {
      kube,
      clusters,
      stores,
      nowMs: () => clock.nowMs(),
      isCaughtUp: expectations.areMet.bind(expectations),
      wrote: expectations.wrote.bind(expectations),
      deleted: expectations.deleted.bind(expectations),
      forget: expectations.forget.bind(expectations),
      record: events.record.bind(events),
    };
    return createController({
      ...options,
      name: "xmppcluster",
      reconcile: (key, signal) => reconcile(world, key, signal),
    });
  };

  const stop = async () => {
    const ending = controller;
    controller = undefined;
    await ending?.stop();
  };
  return {
    isReady: () => informers.every(({ isSynced }) => isSynced),
    start(signal) {
      const begun = begin();
      controller = begun;
      void Promise.all(informers.map((each) => each.synced(signal))).then(
        () => {
          if (controller !== begun) return;
          begun.start();
          for (const cluster of clusters.list()) begun.enqueue(keyOf(cluster));
        },
        (error: Error) => options.log.info({ reason: error.message }, "operation.not-begun"),
      );
    },
    stop,
    async close() {
      await stop();
      for (const each of informers) each.stop();
    },
  };
}
