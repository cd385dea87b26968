/**
 * `npm run e2e`: brings up a real Kubernetes in its own network namespace (or uses E2E_KUBECONFIG),
 * runs the scenarios on it, and takes it down again.
 */
import { startEnvironment } from "../harness/environment.ts";
import { answerHelp } from "../harness/help.ts";
import { runVitest } from "../harness/vitest.ts";

answerHelp(`Usage: npm run e2e -- [words and options of vitest]

Brings up a real Kubernetes with etcd, Cassandra, the operator and its Helm chart on this machine (as root;
with E2E_KUBECONFIG=FILE on the cluster that FILE names), runs the scenarios and takes it all down again.
The first time it builds what it needs, in about ten minutes; later it takes about three.

  npm run e2e -- -t "upgrade"   only scenarios whose name contains it
`);
const environment = await startEnvironment();
try {
  const arguments_ = ["--config", "e2e/vitest.config.ts", ...process.argv.slice(2)];
  const { passed, failed } = await runVitest(arguments_, environment.environment);
  console.log(`${passed} passed, ${failed} failed`);
  if (failed > 0 || passed === 0) process.exitCode = 1;
} finally {
  await environment.stop();
}
