/** The runtime's metrics, in one place, so that names and labels can be read and documented. */

import type { Registry } from "prom-client";
import { Counter, Gauge, Histogram } from "prom-client";
import type { Clock } from "./clock.ts";
import type { ControllerMetrics } from "./controller.ts";

/** What an informer shows of itself. */
interface Watching {
  readonly kind: string;
  /** Monotonic. */
  readonly lastSyncMs: number | undefined;
  list(): readonly unknown[];
}

/** Everything that the parts of the runtime tell, each by an interface of its own. */
export interface RuntimeMetrics extends ControllerMetrics {
  request(verb: string, kind: string, code: string, seconds: number): void;
  relist(kind: string, reason: string): void;
  watchFailure(kind: string): void;
  eventDropped(why: string): void;
  leading(isLeading: boolean): void;
  /** Reports the age of the informer's last sign of life and its number of objects. */
  observe(informer: Watching): void;
}

const SECONDS = [0.005, 0.02, 0.1, 0.5, 2, 10, 60];

/** Registers all of them; call once per registry. */
export function createRuntimeMetrics(registry: Registry, clock: Clock): RuntimeMetrics {
  const informers: { readonly informer: Watching; readonly sinceMs: number }[] = [];
  const { counter, gauge, histogram } = maker(registry);
  const passes = counter("reconcile_total", "Passes over a resource.", ["controller", "result"]);
  const passSeconds = histogram("reconcile_seconds", "Length of a pass.", ["controller"]);
  const depth = gauge("queue_depth", "Resources that wait for a pass.", ["controller"]);
  const requests = counter("kube_requests_total", "Requests to the API server, by HTTP status.", [
    "verb",
    "kind",
    "code",
  ]);
  const requestSeconds = histogram("kube_request_seconds", "Time to an answer.", ["verb"]);
  const relists = counter("kube_relists_total", "Full lists by informers.", ["kind", "reason"]);
  const failures = counter("kube_watch_failures_total", "Watches that broke.", ["kind"]);
  const dropped = counter("events_dropped_total", "Events not written.", ["why"]);
  const leading = gauge("leader", "1 while this operator leads.", []);
  // A kind may be watched in several namespaces: the oldest watch counts, and all objects.
  const nowMs = () => clock.monotonicMs();
  gauge("kube_watch_age_seconds", "Time since a watch last gave a sign.", ["kind"], (self) => {
    for (const [kind, group] of byKind(informers)) {
      const ages = group.map(({ informer, sinceMs }) => nowMs() - (informer.lastSyncMs ?? sinceMs));
      self.set({ kind }, Math.max(...ages) / 1_000);
    }
  });
  gauge("kube_objects", "Objects in the stores of the informers.", ["kind"], (self) => {
    for (const [kind, group] of byKind(informers)) {
      self.set({ kind }, group.flatMap(({ informer }) => informer.list()).length);
    }
  });
  return {
    pass(controller, result, seconds) {
      passes.inc({ controller, result });
      passSeconds.observe({ controller }, seconds);
    },
    queueDepth: (controller, value) => depth.set({ controller }, value),
    request(verb, kind, code, seconds) {
      requests.inc({ verb, kind, code });
      requestSeconds.observe({ verb }, seconds);
    },
    relist: (kind, reason) => relists.inc({ kind, reason }),
    watchFailure: (kind) => failures.inc({ kind }),
    eventDropped: (why) => dropped.inc({ why }),
    leading: (isLeading) => leading.set(isLeading ? 1 : 0),
    observe(informer) {
      informers.push({ informer, sinceMs: clock.monotonicMs() });
    },
  };
}

function byKind<T extends { readonly informer: Watching }>(all: readonly T[]): Map<string, T[]> {
  return Map.groupBy(all, ({ informer }) => informer.kind);
}

/** Makes metrics of the house: one prefix, one registry. */
function maker(registry: Registry) {
  const registers = [registry];
  const named = (name: string, help: string, labelNames: string[]) => ({
    name: `zonda_operator_${name}`,
    help,
    labelNames,
    registers,
  });
  return {
    counter: (name: string, help: string, labels: string[]) =>
      new Counter(named(name, help, labels)),
    histogram: (name: string, help: string, labels: string[]) =>
      new Histogram({ ...named(name, help, labels), buckets: SECONDS }),
    gauge: (name: string, help: string, labels: string[], read?: (self: Gauge) => void) =>
      new Gauge({
        ...named(name, help, labels),
        ...(read === undefined
          ? {}
          : {
              collect(this: Gauge) {
                read(this);
              },
            }),
      }),
  };
}
