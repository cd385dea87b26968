/** Brings one XmppCluster to its spec: read once, decide purely, write idempotently, report. */
import { API_VERSION, KIND } from "../api/names.ts";
import type { ClusterStatus } from "../api/status.ts";
import type { XmppCluster } from "../api/xmpp-cluster.ts";
import type { EventRecord, Key, Kube, KubeObject } from "../kube/contract.ts";
import { isKubeError } from "../kube/errors.ts";
import type { Outcome } from "../loop/contract.ts";
import { Temporary } from "../loop/contract.ts";
import { momentsOf } from "../status/moments.ts";
import { statusOf, statusOfInvalid } from "../status/status.ts";
import type { Eyes, Seen } from "./observe.ts";
import { observe } from "./observe.ts";
import { perform } from "./perform.ts";
import { identity } from "./steps/identity.ts";
import { prune } from "./steps/prune.ts";
import { revision } from "./steps/revision.ts";
import { rollout } from "./steps/rollout.ts";
import { surroundings } from "./steps/surroundings.ts";
import type { Verdict } from "./verdict.ts";
import { SETTLED } from "./verdict.ts";

export interface World extends Eyes {
  readonly kube: Kube;
  record(event: EventRecord): void;
  wrote(key: Key, object: KubeObject): void;
  deleted(key: Key, object: KubeObject): void;
  forget(key: Key): void;
}

/** In this order: what nodes need is there before nodes, and the disruption budget as well. */
const STEPS: readonly ((seen: Seen) => Verdict)[] = [
  identity,
  surroundings,
  revision,
  prune,
  rollout,
];

/** Certificates are looked after even when nothing happens. */
const LOOK_AGAIN_MS = 3_600_000;
const CONFLICT_AGAIN_MS = 200;
/** The informers tell as well; this is for when what they show never comes. */
const BEHIND_AGAIN_MS = 500;

/** @throws KubeError, Temporary: the loop comes again */
export async function reconcile(world: World, key: Key, signal: AbortSignal): Promise<Outcome> {
  const observation = await observe(world, key, signal);
  if (observation.kind === "gone") {
    world.forget(key); // Owner references clean up.
    return {};
  }
  if (observation.kind === "behind") return { requeueAfterMs: BEHIND_AGAIN_MS };
  if (observation.kind === "invalid") {
    const { object, message } = observation;
    await report(world, key, object, statusOfInvalid(object, message, world.nowMs()), signal);
    return {};
  }
  const { seen } = observation;
  let verdict: Verdict;
  let failure: unknown;
  try {
    verdict = await runSteps(world, key, seen, signal);
  } catch (error) {
    if (isKubeError(error, "Conflict")) {
      throw new Temporary(error.message, CONFLICT_AGAIN_MS, { cause: error });
    }
    if (signal.aborted) throw error;
    failure = error;
    verdict = { kind: "wait", reason: "KubernetesRefused", message: (error as Error).message };
  }
  const { status, againMs } = statusOf(seen, verdict);
  await report(world, key, seen.object, status, signal);
  if (failure !== undefined) throw failure;
  const asked = "againMs" in verdict ? verdict.againMs : undefined;
  return { requeueAfterMs: Math.min(asked ?? LOOK_AGAIN_MS, againMs ?? LOOK_AGAIN_MS) };
}

async function runSteps(world: World, key: Key, seen: Seen, signal: AbortSignal): Promise<Verdict> {
  const hands = {
    kube: world.kube,
    wrote: (object: KubeObject) => world.wrote(key, object),
    deleted: (object: KubeObject) => world.deleted(key, object),
  };
  for (const step of STEPS) {
    const verdict = step(seen);
    if (verdict.kind === "write" || verdict.kind === "advance") {
      for (const action of verdict.actions) await perform(hands, seen.cluster, action, signal);
    }
    if (verdict.kind !== "settled" && verdict.kind !== "write") return verdict;
  }
  return SETTLED;
}

async function report(
  world: World,
  key: Key,
  object: XmppCluster,
  status: ClusterStatus,
  signal: AbortSignal,
): Promise<void> {
  const { name, namespace } = object.metadata;
  const reported: XmppCluster = {
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { name, ...(namespace !== undefined && { namespace }) },
    status,
  };
  const applied = await world.kube.applyStatus(reported, { live: object, signal });
  if (!applied.written) return;
  world.wrote(key, applied.object); // The next pass goes on from this status, not from the last.
  for (const moment of momentsOf(object.status ?? {}, status)) {
    world.record({ regarding: object, ...moment });
  }
}
