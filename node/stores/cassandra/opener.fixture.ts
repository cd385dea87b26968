/**
 * A node for the tests: opens the stores of a keyspace, uses them, and prints "open". Arguments:
 * contact point, keyspace, user.
 */
import { openCassandraStores } from "./cassandra.ts";

const [contactPoint = "", keyspace = "", user = ""] = process.argv.slice(2);
const stores = await openCassandraStores({
  contactPoints: [contactPoint],
  localDatacenter: "datacenter1",
  keyspace,
  replicationFactor: 1,
  requestTimeoutMs: 30_000,
});
await stores.rosters.update(user, `${process.pid}@example.org`, { listed: true });
await stores[Symbol.asyncDispose]();
process.stdout.write("open\n");
