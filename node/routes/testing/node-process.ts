/** A node in a process of its own, to be killed: joins, binds one route, says so, and waits. */
import { systemClock } from "../../base/clock.ts";
import { openEtcdRoutes } from "../etcd.ts";
import { Diary, makeNode, makeRoute } from "./records.ts";

const [endpoint = "", prefix = "", incarnation = "", leaseSeconds = ""] = process.argv.slice(2);

const routes = await openEtcdRoutes({
  self: makeNode(incarnation),
  endpoints: [endpoint],
  prefix,
  leaseSeconds: Number(leaseSeconds),
  events: new Diary(),
  clock: systemClock,
  cacheUsersMax: 100,
  requestTimeoutMs: 2_000,
  notifySiblings: () => undefined,
});
await routes.bind(makeRoute({ node: incarnation, resource: incarnation, session: incarnation }));
console.log("bound");
setInterval(() => undefined, 1_000);
