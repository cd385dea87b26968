import { defineConfig } from "vitest/config";

/** Tests stand beside their sources. Suites that need etcd or Cassandra find them by the
 * environment that .ci/test.ts sets after it started the real servers. */
export default defineConfig({
  test: {
    include: ["node", "operator", "e2e", "examples", ".ci"].map(
      (folder) => `${folder}/**/*.test.ts`,
    ),
    testTimeout: 30_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
