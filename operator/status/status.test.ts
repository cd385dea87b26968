import { describe, expect, test } from "vitest";
import { REVISION_LABEL, VERSION_LABEL } from "../api/names.ts";
import type { ClusterStatus } from "../api/status.ts";
import { statusSchema } from "../api/status.ts";
import { clusterOf, example } from "../api/testing/clusters.ts";
import type { XmppCluster } from "../api/xmpp-cluster.ts";
import type { Pod, ReplicaSet } from "../build/kinds.ts";
import { momentsOf } from "./moments.ts";
import { statusOf, statusOfInvalid } from "./status.ts";
import type { Doing, Sight } from "./view.ts";

const START_MS = Date.parse("2024-05-01T10:00:00.000Z");
const SETTLED: Doing = { kind: "settled" };

type State = "serving" | "starting" | "stopping" | "crashed" | "unproxied";

const STATUS: { readonly [state in State]: Pod["status"] } = {
  serving: { conditions: [{ type: "Ready", status: "True" }] },
  stopping: { conditions: [{ type: "Ready", status: "True" }] },
  starting: {
    containerStatuses: [{ name: "node", state: { waiting: { reason: "ContainerCreating" } } }],
  },
  unproxied: {
    initContainerStatuses: [
      { name: "proxy", state: { waiting: { reason: "RunContainerError", message: "no haproxy" } } },
    ],
    containerStatuses: [{ name: "node", state: { waiting: { reason: "PodInitializing" } } }],
  },
  crashed: {
    containerStatuses: [
      {
        name: "node",
        restartCount: 3,
        state: { waiting: { reason: "CrashLoopBackOff", message: "back-off 40s restarting" } },
        lastState: {
          terminated: { exitCode: 1, message: "{...}\nCannot open the store: no answer\n" },
        },
      },
    ],
  },
};

const labels = (revision: string) => ({
  [REVISION_LABEL]: revision,
  [VERSION_LABEL]: `0.1.${revision}`,
});

/** Nodes "1:serving": revision 1 is version 0.1.1. */
function pod(description: string, index: number): Pod {
  const [revision = "", state = "serving"] = description.split(":");
  const metadata = { name: `chat-${revision}-${index}`, labels: labels(revision) };
  const stopping = { deletionTimestamp: "2024-05-01T10:05:00Z" };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...metadata, ...(state === "stopping" && stopping) },
    ...{ status: STATUS[state as State] },
  } as Pod;
}

const set = (revision: string, replicas: number): ReplicaSet => ({
  apiVersion: "apps/v1",
  kind: "ReplicaSet",
  metadata: { name: `chat-${revision}`, labels: labels(revision) },
  spec: { replicas, selector: {}, template: { metadata: { labels: {} }, spec: {} } },
});

interface Scene {
  readonly revision?: string;
  readonly sets: Readonly<Record<string, number>>;
  readonly pods: readonly string[];
  readonly before?: ClusterStatus;
  readonly afterMs?: number;
  readonly doing?: Doing;
  readonly generation?: number;
}

function look({
  revision = "1",
  sets,
  pods,
  before = {},
  afterMs = 0,
  doing = SETTLED,
  generation = 1,
}: Scene) {
  const cluster = clusterOf(example("minimal"), { status: before, generation });
  const sight: Sight = {
    cluster: { ...cluster, spec: { ...cluster.spec, version: `0.1.${revision}` } },
    revision,
    replicaSets: Object.entries(sets).map(([id, replicas]) => set(id, replicas)),
    pods: pods.map(pod),
    nowMs: START_MS + afterMs,
  };
  const report = statusOf(sight, doing);
  expect(statusSchema.safeParse(report.status).error).toBeUndefined(); // What the CRD would take.
  return report;
}

const three = ["1:serving", "1:serving", "1:serving"];
const settled = () => look({ sets: { 1: 3 }, pods: three }).status;
const find = (status: ClusterStatus, type: string) =>
  status.conditions?.find((condition) => condition.type === type);

describe("the status of a cluster", () => {
  test("is Pending from the first pass on, with every condition told", () => {
    const { status } = look({ sets: {}, pods: [] });
    expect(status).toMatchObject({ phase: "Pending", observedGeneration: 1, replicas: 0 });
    expect(status).not.toHaveProperty("version");
    expect(status.conditions?.map(({ type, status: is }) => `${type}=${is}`)).toEqual([
      "Ready=False",
      "Progressing=True",
      "Stalled=False",
      "VersionConsistent=Unknown",
    ]);
  });

  test("names the version only when all nodes run it and are ready", () => {
    expect(
      look({ sets: { 1: 3 }, pods: ["1:serving", "1:serving", "1:starting"] }).status,
    ).not.toHaveProperty("version");
    expect(settled()).toMatchObject({ version: "0.1.1", phase: "Ready", currentRevision: "1" });
    expect(settled()).not.toHaveProperty("rollout");
  });

  test("keeps the version of before while another is brought, and while one old node stops", () => {
    const before = settled();
    const pods = ["2:serving", "2:serving", "2:serving", "1:stopping"];
    const { status } = look({ revision: "2", sets: { 1: 0, 2: 3 }, pods, before });
    expect(status).toMatchObject({ version: "0.1.1", currentRevision: "1", updateRevision: "2" });
    expect(status).toMatchObject({
      phase: "Draining",
      rollout: { from: "0.1.1", to: "0.1.2", outdated: 1 },
    });
    const done = look({
      revision: "2",
      sets: { 2: 3 },
      pods: pods.slice(0, 3),
      before: status,
    }).status;
    expect(done).toMatchObject({ version: "0.1.2", currentRevision: "2", phase: "Ready" });
  });

  test("is the same when nothing changed, however much time passes", () => {
    const before = settled();
    expect(look({ sets: { 1: 3 }, pods: three, before, afterMs: 86_400_000 }).status).toEqual(
      before,
    );
  });

  test("changes the time of a condition only when it turns", () => {
    const before = settled();
    const lost = { sets: { 1: 3 }, pods: three.slice(1) };
    const first = look({ ...lost, before, afterMs: 5_000 }).status;
    expect(find(first, "Ready")).toMatchObject({
      status: "False",
      reason: "NodesMissing",
      message: "2 of 3 nodes serve",
      lastTransitionTime: "2024-05-01T10:00:05Z",
    });
    expect(first.phase).toBe("Degraded");
    const second = look({
      sets: { 1: 3 },
      pods: three.slice(2),
      before: first,
      afterMs: 9_000,
    }).status;
    expect(find(second, "Ready")).toMatchObject({
      message: "1 of 3 nodes serve",
      lastTransitionTime: "2024-05-01T10:00:05Z",
    });
    expect(find(second, "VersionConsistent")?.lastTransitionTime).toBe("2024-05-01T10:00:00Z");
  });

  test("carries the generation it was found for in every condition", () => {
    const { status } = look({ sets: { 1: 3 }, pods: three, before: settled(), generation: 7 });
    expect(status.conditions?.map(({ observedGeneration }) => observedGeneration)).toEqual([
      7, 7, 7, 7,
    ]);
  });

  test("says what each node does", () => {
    const pods = ["1:serving", "1:starting", "1:crashed", "2:stopping"];
    expect(look({ sets: { 1: 3 }, pods }).status.nodes).toEqual([
      { name: "chat-1-0", version: "0.1.1", phase: "Serving" },
      { name: "chat-1-1", version: "0.1.1", phase: "Starting" },
      { name: "chat-1-2", version: "0.1.1", phase: "NotReady" },
      { name: "chat-2-3", version: "0.1.2", phase: "Terminating" },
    ]);
  });

  test("lists a hundred nodes at most", () => {
    const pods = Array.from({ length: 120 }, () => "1:serving");
    expect(look({ sets: { 1: 120 }, pods }).status.nodes).toHaveLength(100);
  });

  test("tells of a proxy that does not run, and its node cannot either", () => {
    const { status } = look({ sets: { 1: 3 }, pods: ["1:unproxied"] });
    expect(find(status, "Ready")?.message).toBe(
      "0 of 3 nodes serve; chat-1-0: RunContainerError: no haproxy",
    );
  });

  test("quotes what a crashed node wrote last", () => {
    const { status } = look({ sets: { 1: 3 }, pods: ["1:crashed"] });
    expect(find(status, "Ready")?.message).toBe(
      "0 of 3 nodes serve; chat-1-0: CrashLoopBackOff, exit code 1: Cannot open the store: no answer",
    );
  });
});

describe("a rollout that does not move", () => {
  const scene = { revision: "2", sets: { 1: 3, 2: 1 }, pods: [...three, "2:crashed"] };
  const began = () => look({ ...scene, before: settled() }).status;
  const doing: Doing = { kind: "wait", reason: "NodeStarting", message: "Waits for x", node: "x" };

  test("asks to be looked at when its time is over, and not before", () => {
    const { againMs, status } = look({ ...scene, before: began(), afterMs: 100_000, doing });
    expect(againMs).toBe(500_000);
    expect(find(status, "Stalled")?.status).toBe("False");
    expect(find(status, "Progressing")).toMatchObject({
      status: "True",
      reason: "NodeStarting",
      message: "0 of 3 nodes run 0.1.2; Waits for x",
    });
    expect(status.rollout?.blockedBy).toEqual({
      predicate: "NodeStarting",
      node: "x",
      message: "Waits for x",
    });
  });

  test("is stalled after its deadline, while the service stays ready", () => {
    const { againMs, status } = look({ ...scene, before: began(), afterMs: 600_000, doing });
    expect(againMs).toBeUndefined();
    expect(find(status, "Stalled")).toMatchObject({
      status: "True",
      reason: "ProgressDeadlineExceeded",
    });
    expect(find(status, "Progressing")?.status).toBe("False");
    expect(find(status, "Ready")?.status).toBe("True");
    expect(status.phase).toBe("Degraded");
  });

  test("counts from the last node that became ready", () => {
    const moved = { ...scene, pods: [...three, "2:serving"], before: began(), afterMs: 500_000 };
    const { status } = look(moved);
    const later = look({ ...scene, before: status, afterMs: 700_000 });
    expect(find(later.status, "Stalled")?.status).toBe("False");
    expect(later.status.rollout).toMatchObject({
      id: "1-2",
      startedAt: "2024-05-01T10:00:00Z",
      progressedAt: "2024-05-01T10:08:20Z",
    });
  });

  test("starts anew with another revision", () => {
    const before = look({ ...scene, before: began(), afterMs: 600_000 }).status;
    const sets = { 1: 3, 2: 1, 3: 0 };
    const next = look({ ...scene, revision: "3", sets, before, afterMs: 601_000, generation: 2 });
    expect(next.status.rollout).toMatchObject({ id: "2-3", from: "0.1.1", to: "0.1.3" });
    expect(find(next.status, "Stalled")?.status).toBe("False");
  });
});

describe("a spec that cannot be used", () => {
  const message = "Cannot use the spec: spec.etcd: missing";
  const invalid = (status: ClusterStatus) => {
    const object: XmppCluster = { ...example("minimal"), status };
    return statusOfInvalid(
      { ...object, metadata: { name: "chat", generation: 9 } },
      message,
      START_MS,
    );
  };

  test("is said, and what runs is still told", () => {
    const status = invalid(settled());
    expect(status).toMatchObject({ version: "0.1.1", phase: "Degraded", observedGeneration: 9 });
    expect(find(status, "Stalled")).toMatchObject({
      status: "True",
      reason: "InvalidSpec",
      message,
    });
    expect(find(status, "Ready")?.status).toBe("True");
  });

  test("gives one event, not one with every pass", () => {
    const status = invalid(settled());
    expect(momentsOf(settled(), status)).toEqual([
      { type: "Warning", reason: "InvalidSpec", action: "Check", note: message },
    ]);
    expect(momentsOf(status, invalid(status))).toEqual([]);
  });
});

describe("the moments worth an event", () => {
  const reasons = (before: ClusterStatus, now: ClusterStatus) =>
    momentsOf(before, now).map(({ reason, note }) => `${reason}: ${note}`);

  test("are the start, each replaced node, and the end", () => {
    const before = settled();
    const started = look({
      revision: "2",
      sets: { 1: 3, 2: 1 },
      pods: [...three, "2:starting"],
      before,
    }).status;
    expect(reasons(before, started)).toEqual([
      "RolloutStarted: Brings 3 nodes from 0.1.1 to 0.1.2",
    ]);
    const pods = ["1:serving", "2:serving", "2:serving", "2:serving"];
    const last = look({ revision: "2", sets: { 1: 1, 2: 3 }, pods, before: started }).status;
    expect(reasons(started, last)).toEqual([
      "NodeReplaced: A node was replaced; 1 of an old revision left",
    ]);
    const done = look({ revision: "2", sets: { 2: 3 }, pods: pods.slice(1), before: last }).status;
    expect(reasons(last, done)).toEqual([
      "NodeReplaced: A node was replaced; 0 of an old revision left",
      "RolloutFinished: All nodes run 0.1.2",
    ]);
    expect(reasons(done, done)).toEqual([]);
  });
});
