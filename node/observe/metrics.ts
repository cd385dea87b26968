/**
 * Prometheus metrics that cost the hot path nothing: rooms count in plain numbers, which are read
 * when somebody scrapes. The catalogue is data, so that the reference is generated from it.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";

export interface Metric<Sources> {
  readonly name: string;
  readonly kind: "counter" | "gauge";
  /** One sentence. */
  readonly help: string;
  read(sources: Sources): number;
}

/** The text of /metrics. */
export interface Metrics {
  readonly contentType: string;
  render(): Promise<string>;
}

export function openMetrics<Sources>(
  catalogue: readonly Metric<Sources>[],
  sources: Sources,
): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const metric of catalogue) register(registry, metric, sources);
  return { contentType: registry.contentType, render: () => registry.metrics() };
}

function register<Sources>(registry: Registry, metric: Metric<Sources>, sources: Sources): void {
  const { name, help, kind } = metric;
  if (kind === "gauge") {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(metric.read(sources));
      },
    });
    return;
  }
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset();
      this.inc(metric.read(sources));
    },
  });
}
