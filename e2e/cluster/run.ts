/**
 * `npm run e2e`: brings up a real Kubernetes in its own network namespace (or uses E2E_KUBECONFIG),
 * runs the scenarios on it, and takes it down again.
 */
import { startEnvironment } from "../harness/environment.ts";
import { runVitest } from "../harness/vitest.ts";

const environment = await startEnvironment();
try {
  const arguments_ = ["--config", "e2e/vitest.config.ts", ...process.argv.slice(2)];
  const { passed, failed } = await runVitest(arguments_, environment.environment);
  console.log(`${passed} passed, ${failed} failed`);
  if (failed > 0 || passed === 0) process.exitCode = 1;
} finally {
  await environment.stop();
}
