import { Registry } from "prom-client";
import { expect, test } from "vitest";
import type { Informer, KubeObject } from "../kube/contract.ts";
import { FakeClock } from "./fake-clock.ts";
import { createRuntimeMetrics } from "./metrics.ts";

function informer(kind: string, lastSyncMs: number | undefined, count: number): Informer {
  const object = { apiVersion: "v1", kind, metadata: { name: "x" } } satisfies KubeObject;
  return {
    apiVersion: "v1",
    kind,
    resourceVersion: "1",
    isSynced: lastSyncMs !== undefined,
    lastSyncMs,
    get: () => undefined,
    list: () => Array.from({ length: count }, () => object),
    synced: async () => {},
    onChange: () => () => {},
    start() {},
    stop() {},
  };
}

test("what the runtime does can be read, with the oldest watch of a kind", async () => {
  const registry = new Registry();
  const clock = new FakeClock();
  const metrics = createRuntimeMetrics(registry, clock);
  metrics.observe(informer("Pod", 1_000, 2));
  metrics.observe(informer("Pod", 4_000, 3));
  metrics.observe(informer("Secret", undefined, 0));
  metrics.pass("cluster", "failed", 0.2);
  metrics.queueDepth("cluster", 3);
  metrics.request("get", "Pod", "200", 0.01);
  metrics.relist("Pod", "expired");
  metrics.watchFailure("Pod");
  metrics.eventDropped("flood");
  metrics.leading(true);
  clock.advance(5_000);
  const text = await registry.metrics();
  for (const line of [
    'zonda_operator_kube_watch_age_seconds{kind="Pod"} 4',
    'zonda_operator_kube_watch_age_seconds{kind="Secret"} 5',
    'zonda_operator_kube_objects{kind="Pod"} 5',
    'zonda_operator_reconcile_total{controller="cluster",result="failed"} 1',
    'zonda_operator_reconcile_seconds_count{controller="cluster"} 1',
    'zonda_operator_queue_depth{controller="cluster"} 3',
    'zonda_operator_kube_requests_total{verb="get",kind="Pod",code="200"} 1',
    'zonda_operator_kube_relists_total{kind="Pod",reason="expired"} 1',
    'zonda_operator_kube_watch_failures_total{kind="Pod"} 1',
    'zonda_operator_events_dropped_total{why="flood"} 1',
    "zonda_operator_leader 1",
  ]) {
    expect(text).toContain(`${line}\n`);
  }
});
