/** Whether both sides of what was accepted are in the archives, once. */
import type { SimCluster } from "./cluster.ts";
import { idOf } from "./store.ts";

/** At the end: a line for each message that is missing, or there too often. */
export function archiveFaults(cluster: SimCluster): readonly string[] {
  const { ledger } = cluster;
  const counts = countsOf(cluster);
  const faults: string[] = [];
  for (const { id, fromUser, toUser, ...said } of ledger.said.values()) {
    if (said.doubt !== undefined || said.isReturned) continue;
    const countMax = said.sessions.length;
    const isDue = said.isAccepted && !said.mayBeUnarchived;
    for (const user of [fromUser, toUser]) {
      const count = counts.get(`${user} ${id}`) ?? 0;
      if (count > countMax) faults.push(`${user} has ${id} ${count} times`);
      if (count === 0 && isDue) faults.push(`${user} has no ${id} from ${fromUser} to ${toUser}`);
    }
  }
  return faults;
}

/** How often each user's archive has each message. */
function countsOf({ store, users }: SimCluster): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const user of users) {
    for (const { bytes } of store.memory.archived(user)) {
      const which = `${user} ${idOf(bytes)}`;
      counts.set(which, (counts.get(which) ?? 0) + 1);
    }
  }
  return counts;
}
