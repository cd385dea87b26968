/** One of several nodes is killed: how long until its clients are back, and what that takes. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Figures } from "./figures.ts";
import { crowd } from "./people.ts";
import type { Operations } from "./site.ts";
import { withWorld } from "./world.ts";

export interface FailoverSettings {
  readonly nodes: number;
  /** On each node. */
  readonly sessions: number;
  readonly contacts: number;
  readonly sets: readonly string[];
}

const DEADLINE_SECONDS = 120;
/** The routes of the dead go with its lease, of ten seconds; what follows is counted too. */
const LEASE_MS = 15_000;

export async function failover(settings: FailoverSettings, figures: Figures): Promise<void> {
  const { nodes, sessions, contacts, sets } = settings;
  const users = nodes * sessions;
  const accounts = crowd({ users, contacts });
  await withWorld({ nodes, accounts, loadProcesses: nodes - 1, sets, figures }, async (world) => {
    const everybody = { group: "u", from: 0, to: users };
    const target = { ports: world.ports, tls: false };
    await world.order({ kind: "connect", target, users: everybody, inFlight: 8, acks: true });
    await sleep(5_000);
    const [lost] = world.site.nodes.slice(-1);
    if (lost === undefined) throw new Error("Cannot kill a node: there is none");
    const ports = world.ports.filter((port) => port !== lost.port);
    const end = await world.meter();
    const recovery = world.order({
      ...{ kind: "recover", target: { ports, tls: false }, lostPort: lost.port },
      seconds: DEADLINE_SECONDS,
    });
    await sleep(500);
    await lost.kill();
    const { done, counters, latenciesMs } = await recovery;
    await sleep(LEASE_MS);
    const cost = await end();
    const column = `${nodes} nodes, ${sessions} sessions each`;
    const put = (what: string, value: number) => figures.put(what, column, value);
    put("Clients of the killed node", sessions);
    put("Back: resumed", counters.resumed);
    put("Back: bound anew", done - counters.resumed);
    // Times are those of clients that are back: the share is of all that lost their connection.
    figures.putTimes("Back, after the kill", column, latenciesMs, [0.5, 0.99, 1]);
    const { ranges, puts, deletions, commits, cassandra } = cost.operations as Operations;
    put("etcd: reads", ranges);
    put("etcd: writes", puts + deletions);
    put("etcd: commits", commits);
    put("Cassandra: statements", cassandra);
    put("CPU of the nodes left, ms a client", cost.nodesMs / sessions);
    if (done < sessions) figures.note(`${sessions - done} were not back in ${DEADLINE_SECONDS} s`);
  });
}
