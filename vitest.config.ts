import { defineConfig } from "vitest/config";

/** Tests stand beside their sources. Suites that need etcd or Cassandra find them by the
 * environment that .ci/test.ts sets after it started the real servers. Limits are for what never comes:
 * a machine may stand still for seconds. */
export default defineConfig({
  test: {
    include: ["node", "operator", "e2e", "examples", ".ci"].map(
      (folder) => `${folder}/**/*.test.ts`,
    ),
    setupFiles: ["e2e/harness/property-seed.ts"],
    testTimeout: 120_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 30_000 } },
    pool: "forks",
    maxWorkers: 2,
  },
});
