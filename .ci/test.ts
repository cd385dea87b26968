/**
 * The whole test suite but Kubernetes: the checks, then every *.test.ts with real etcd, Cassandra
 * and a real API server, which it installs when missing, starts, and stops.
 *
 *   npm test                      everything
 *   npm test -- node/stores       only files whose path contains one of the words, no checks
 */
import { startApiServer } from "../e2e/harness/api-server.ts";
import { startCassandra } from "../e2e/harness/cassandra.ts";
import { startEtcd } from "../e2e/harness/etcd.ts";
import { answerHelp } from "../e2e/harness/help.ts";
import { runVitest } from "../e2e/harness/vitest.ts";
import { runChecks } from "./check.ts";

interface Servers {
  readonly environment: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

async function startServers(): Promise<Servers> {
  const etcd = await startEtcd();
  const cassandra = await startCassandra();
  const kube = await startApiServer();
  return {
    environment: {
      ZONDA_TEST_ETCD: etcd.endpoint,
      ZONDA_TEST_CASSANDRA: `127.0.0.1:${cassandra.cqlPort}`,
      ZONDA_TEST_KUBE_SERVER: kube.server,
      ZONDA_TEST_KUBE_TOKEN: kube.token,
      ZONDA_TEST_KUBE_CA: kube.ca,
    },
    stop: async () => void (await Promise.all([etcd.stop(), cassandra.stop(), kube.stop()])),
  };
}

answerHelp(`Usage: npm test -- [words and options of vitest]

Runs the checks, then every test but those on Kubernetes (npm run e2e), with real etcd, Cassandra and a real API
server, which it installs when missing, starts and stops.

  npm test                      everything: about seven minutes, the first time more
  npm test -- node/stores       only files whose path contains one of the words, no checks
  npm test -- -t "resumes"      only tests whose name contains it
  npm test -- --retry=1         everything; what fails is run once more, and named
`);
const words = process.argv.slice(2);
const isEverything = words.every((word) => word.startsWith("-"));
const failedChecks = isEverything ? runChecks() : [];
const servers = await startServers();
try {
  const { passed, failed } = await runVitest(words, servers.environment);
  if (failedChecks.length > 0) console.log(`Failed checks: ${failedChecks.join(", ")}`);
  const failures = failed + failedChecks.length;
  console.log(`${passed} passed, ${failures} failed`);
  if (failures > 0 || passed === 0) process.exitCode = 1;
} finally {
  await servers.stop();
}
