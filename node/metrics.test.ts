/** What a scrape of a node reads of its rooms. */
import { expect, test } from "vitest";
import type { MetricSources } from "./metrics.ts";
import { metricsOf } from "./metrics.ts";
import { Cluster } from "./modules/testing/cluster.ts";
import { openMetrics } from "./observe/metrics.ts";

const METRICS = metricsOf([]);
const IN_QUESTION = METRICS.filter(({ name }) => /^zonda_(router|routes|lease)_/.test(name));

test("whatever the router and the routes keep within a limit can be read", async () => {
  const [node] = new Cluster({ nodes: 1 }).nodes;
  if (node === undefined) throw new Error("there is one");
  const { router, routes } = node;
  const gauges = { cachedUsers: 7, knownUsers: 3, chores: 2 };
  const sources = { router, routes: Object.assign(routes, { gauges }) };
  const counts = { ...router.stats(), laneTasks: 5, repeatsRemembered: 4 };
  router.stats = () => counts;
  const metrics = openMetrics(IN_QUESTION, sources as unknown as MetricSources);
  const lines = (await metrics.render()).split("\n");
  expect(lines).toEqual(
    expect.arrayContaining([
      "zonda_router_lane_tasks 5",
      "zonda_router_repeats_remembered 4",
      "zonda_routes_cached_users 7",
      "zonda_routes_known_users 3",
      "zonda_routes_chores 2",
      "zonda_lease_held 1",
      "# TYPE zonda_routes_chores gauge",
    ]),
  );
  // Nothing that the router counts is told to nobody.
  const names = METRICS.map(({ name }) => name.replace(/_total$/, ""));
  const isTold = (key: string) =>
    names.some((name) => name.endsWith(`_${key.replace(/(?=[A-Z])/g, "_").toLowerCase()}`));
  expect(Object.keys(counts).filter((key) => !isTold(key))).toEqual([]);
});

test("a node that is alone remembers no routes, and lacks no lease", async () => {
  const routes = { holdsLease: true };
  const router = { stats: () => ({}) };
  const metrics = openMetrics(IN_QUESTION, { router, routes } as unknown as MetricSources);
  const page = await metrics.render();
  expect(page).toContain("zonda_routes_cached_users 0");
  expect(page).toContain("zonda_lease_held 1");
});
