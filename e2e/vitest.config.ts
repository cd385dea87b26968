import { defineConfig } from "vitest/config";

/** The Kubernetes suite: one file, in order, on one cluster. Run it with `npm run e2e`. */
export default defineConfig({
  test: {
    include: ["e2e/cluster/*.e2e.ts"],
    testTimeout: 480_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
});
