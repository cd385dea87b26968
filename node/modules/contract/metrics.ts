/** The numbers that a module keeps. */

/** A number that a module keeps and that is read when metrics are collected. */
export interface ModuleMetric {
  readonly kind: "counter" | "gauge";
  /** One sentence. */
  readonly help: string;
}

export const counter = (help: string): ModuleMetric => ({ kind: "counter", help });
export const gauge = (help: string): ModuleMetric => ({ kind: "gauge", help });

export type ModuleMetrics = Readonly<Record<string, ModuleMetric>>;
