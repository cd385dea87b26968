/** What stands around the nodes whatever they run: account, Services, disruption budget, policy. */

import { names } from "../../build/names.ts";
import { networkPolicy } from "../../build/network-policy.ts";
import { podDisruptionBudget } from "../../build/pod-disruption-budget.ts";
import { serviceAccount } from "../../build/service-account.ts";
import { clientsService, meshService, serversService, webService } from "../../build/services.ts";
import type { KubeObject } from "../../kube/contract.ts";
import type { Seen, WatchedKind } from "../observe.ts";
import { isOwned } from "../observe.ts";
import type { Action, Verdict } from "../verdict.ts";
import { remove, write } from "../verdict.ts";

export function surroundings(seen: Seen): Verdict {
  const { cluster } = seen;
  const budget = podDisruptionBudget(cluster);
  const objects = [
    serviceAccount(cluster),
    clientsService(cluster),
    webService(cluster),
    serversService(cluster),
    meshService(cluster),
    networkPolicy(cluster),
    ...(budget === undefined ? [] : [budget]),
  ];
  const apply = (object: KubeObject): Action => ({
    kind: "apply",
    object,
    live: seen.live(object.kind as WatchedKind, object.metadata.name),
  });
  const stale =
    budget === undefined ? seen.live("PodDisruptionBudget", names.nodes(cluster.name)) : undefined;
  const removals = stale !== undefined && isOwned(stale, cluster) ? [remove(stale)] : [];
  return write([...objects.map(apply), ...removals]);
}
