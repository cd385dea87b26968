/**
 * `npm run cluster -- --nodes N --config FILE`: a real cluster on loopback. The first line of
 * standard output says, as JSON, where it is; then come the lines of the nodes. Ctrl-C ends it.
 */
import { parseArgs } from "node:util";
import type { ClusterNode } from "./cluster-node.ts";
import { endAll } from "./lifetime.ts";
import type { Cluster } from "./start-cluster.ts";
import { startCluster } from "./start-cluster.ts";

const NODES_MAX = 50;
/** Lines the nodes write before the first line of all is out; far more than they do. */
const LINES_HELD_MAX = 10_000;

const HELP = `Usage: npm run cluster -- [--nodes N] [--config FILE] [--set option=value]...

Runs real etcd, real Cassandra and N nodes (2 if left out) on loopback, until Ctrl-C.
`;

function readArguments() {
  const { values } = parseArgs({
    options: {
      nodes: { type: "string", default: "2" },
      config: { type: "string" },
      set: { type: "string", multiple: true, default: [] },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const nodes = Number(values.nodes);
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > NODES_MAX) {
    throw new Error(`Cannot use --nodes ${values.nodes}: give a number from 1 to ${NODES_MAX}`);
  }
  return { ...values, nodes };
}

const summary = ({ etcd, cassandra, nodes }: Cluster) => ({
  etcd: etcd.members.map(({ clientPort, pid }) => ({ client: clientPort, pid }))[0],
  cassandra: { cql: cassandra.cqlPort, pid: cassandra.pid },
  nodes: nodes.map(({ c2s, http, pid }) => ({ c2s, http, pid })),
});

const say = (who: string, line: string): void => {
  process.stdout.write(`${who.padEnd(8)}| ${line}\n`);
};

/** Says when a node ends that nobody told to end; the others go on. */
function report({ name, pid, exited }: ClusterNode): void {
  void exited.then((how) => say(name, `ended with ${how} (pid ${pid})`));
}

async function main(): Promise<void> {
  const { nodes, config, set, help } = readArguments();
  if (help) {
    process.stdout.write(HELP);
    return;
  }
  const held: (readonly [string, string])[] = [];
  let isOut = false;
  const onLine = (node: string, line: string) => {
    if (isOut) say(node, line);
    else if (held.length < LINES_HELD_MAX) held.push([node, line]);
  };
  const sets = ["log.format=pretty", ...set];
  const cluster = await startCluster({ nodes, sets, onLine, ...(config && { config }) });
  process.stdout.write(`${JSON.stringify(summary(cluster))}\n`);
  isOut = true;
  for (const [node, line] of held) say(node, line);
  for (const node of cluster.nodes) report(node);
  const domain = cluster.domains[0];
  say(
    "cluster",
    `make a user: npx zonda user add juliet@${domain} --config ${cluster.adminConfig}`,
  );
  if (cluster.authority) say("cluster", `clients trust ${cluster.authority}`);
  say("cluster", "Ctrl-C ends it");
  setInterval(() => undefined, 1 << 30); // Goes on even when every server has died.
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  await endAll();
  process.exit(1);
}
