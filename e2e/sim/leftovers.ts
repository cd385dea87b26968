/** What is left of sessions and nodes that are gone, where it should not be any more. */
import { knownState } from "../../node/modules/presence/state.ts";
import { Keys } from "../../node/routes/keys.ts";
import type { SimCluster } from "./cluster.ts";
import type { SimNode } from "./node.ts";

const etcdKeys = new Keys("/zonda/");
/** What stays for an hour, on a lease of its own: see routes/note-lease.ts. */
const NOTES = /^\/zonda\/(void|steps)\//;

/** At rest: a line for each. */
export function leftovers(cluster: SimCluster): readonly string[] {
  const { alive } = cluster;
  return [
    ...alive.flatMap((node) => [...inHand(node), ...ofOthers(node, alive), ...seen(node, alive)]),
    ...copies(alive),
    ...keys(cluster),
  ];
}

/** What is kept until somebody is back, or has been told. */
function inHand({ machine, parts }: SimNode): readonly string[] {
  const { router, counts } = parts;
  const { adopting, lapsed, wakesMissed, passedOver, tasksRunning, claims } = router?.stats() ?? {};
  const untold = counts?.presence?.untold;
  const late = counts?.archive?.late;
  return Object.entries({
    ...{ adopting, lapsed, wakesMissed, passedOver, tasksRunning, claims, untold, late },
  }).flatMap(([what, count = 0]) => (count > 0 ? [`${machine} has ${count} ${what}`] : []));
}

/** Nodes that it takes for alive. */
function ofOthers({ machine, parts }: SimNode, alive: readonly SimNode[]): readonly string[] {
  const others = alive.map((node) => node.machine).filter((other) => other !== machine);
  const known = [...(parts.routes?.nodes.keys() ?? [])];
  const { linksOpen = 0, acceptedOpen = 0 } = parts.mesh?.stats ?? {};
  return [
    ...known.filter((one) => !others.includes(one)).map((one) => `${machine} knows ${one}`),
    ...others.filter((one) => !known.includes(one)).map((one) => `${machine} knows no ${one}`),
    ...(linksOpen > others.length ? [`${machine} has ${linksOpen} links`] : []),
    ...(acceptedOpen > others.length ? [`${machine} has taken ${acceptedOpen} links`] : []),
  ];
}

/** Sessions of others that its own were shown, and that are not there. */
function seen({ machine, sessions }: SimNode, alive: readonly SimNode[]): readonly string[] {
  const isThere = (full: string, at: string) =>
    alive.some((node) => (at === "" || node.machine === at) && node.sessions.get(full));
  return [...sessions.all()].flatMap((session) =>
    [...(knownState(session)?.seen ?? [])]
      .filter(([full, at]) => full !== session.jid.full && !isThere(full, at))
      .map(([full, at]) => `${machine} has ${session.jid.full} see ${full} at ${at}`),
  );
}

/** Each session that can be resumed has one copy, and there are no others. */
function copies(alive: readonly SimNode[]): readonly string[] {
  const sum = (what: string) =>
    alive.reduce((all, { parts }) => all + (parts.router?.stats()[what] ?? 0), 0);
  const [have, want, without] = [sum("copies"), sum("shadowed"), sum("unshadowed")];
  return [
    ...(have === want ? [] : [`there are ${have} copies of ${want} sessions`]),
    ...(without > 0 && alive.length > 1 ? [`${without} sessions have no copy`] : []),
  ];
}

/** All keys but notes are on the lease of a node that is there. */
function keys({ alive, model }: SimCluster): readonly string[] {
  const all = model.keys().map(({ key, lease }) => ({ name: key.toString(), lease }));
  const records = new Set(alive.map(({ machine }) => etcdKeys.node(machine)));
  const leases = new Set(all.filter(({ name }) => records.has(name)).map(({ lease }) => lease));
  return all
    .filter(({ name, lease }) => (NOTES.test(name) ? lease === "0" : !leases.has(lease)))
    .map(({ name, lease }) => `etcd has ${name} on lease ${lease}`);
}
