import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../loop/clock.ts";
import type { Kube, KubeObject } from "./contract.ts";
import type { LeaderElector, LeaderOptions } from "./leader.ts";
import { createLeaderElector } from "./leader.ts";
import { microTime } from "./micro-time.ts";
import { connect, createNamespace, silentLog, testServer, until } from "./testing/api-server.ts";
import { FaultProxy } from "./testing/fault-proxy.ts";

const direct = connect();
let proxy: FaultProxy;
let through: ReturnType<typeof connect>;
let namespace = "";

beforeAll(async () => {
  proxy = await FaultProxy.start(testServer());
  through = connect(proxy.address);
});
beforeEach(async () => {
  namespace = await createNamespace(direct.kube);
  proxy.fault = () => undefined;
});
afterAll(async () => {
  await Promise.all([direct.close(), through.close()]);
  await proxy.stop();
});

/** A test, or the API server, may stand still for seconds: nobody gives up by that. */
const LONG = { leaseDurationMs: 60_000, renewDeadlineMs: 40_000 };
/** Where it is given up. It may be more often than the test wants. */
const SHORT = { leaseDurationMs: 2_000, renewDeadlineMs: 1_200 };

interface Candidate {
  readonly name: string;
  readonly elector: LeaderElector;
  readonly signals: AbortSignal[];
}

/** Who began and ended to lead, in order, over all candidates of a test. */
type History = string[];

function candidate(
  name: string,
  kube: Kube,
  history: History,
  options: Partial<LeaderOptions> = {},
): Candidate {
  const signals: AbortSignal[] = [];
  const elector = createLeaderElector({
    kube,
    key: { namespace, name: "operator" },
    identity: name,
    clock: systemClock,
    random: Math.random,
    log: silentLog,
    metrics: { leading() {} },
    ...LONG,
    retryPeriodMs: 100,
    onStarted(signal) {
      history.push(`${name} starts`);
      signals.push(signal);
    },
    async onStopped() {
      history.push(`${name} stops`);
    },
    ...options,
  });
  return { name, elector, signals };
}

interface Lease extends KubeObject {
  readonly spec: Record<string, unknown>;
}

const readLease = () =>
  direct.kube.get<Lease>("coordination.k8s.io/v1", "Lease", { namespace, name: "operator" });

/** In a history of several, one must stop before the next starts. */
function expectOneAtATime(history: History): void {
  let leader: string | undefined;
  for (const [name, what] of history.map((entry) => entry.split(" "))) {
    if (what === "starts") {
      expect(leader, history.join(", ")).toBeUndefined();
      leader = name;
    } else {
      expect(leader, history.join(", ")).toBe(name);
      leader = undefined;
    }
  }
}

describe("leader election", () => {
  test("the only candidate leads, and the lease reads as client-go writes it", async () => {
    const history: History = [];
    const { elector } = candidate("alone", direct.kube, history);
    expect(elector.isLeading()).toBe(false);
    elector.start();
    await until("it leads", () => elector.isLeading());
    const lease = await readLease();
    expect(lease?.spec).toMatchObject({
      holderIdentity: "alone",
      leaseDurationSeconds: 60,
      leaseTransitions: 0,
      renewTime: expect.stringMatching(/T\d\d:\d\d:\d\d\.\d{6}Z$/),
    });
    await until(
      "it renews",
      async () => (await readLease())?.spec.renewTime !== lease?.spec.renewTime,
    );
    await elector.stop();
    expect(history).toEqual(["alone starts", "alone stops"]);
  });

  test("a leader that stops hands over at once, after its work ended", async () => {
    const history: History = [];
    const first = candidate("first", direct.kube, history, {
      async onStopped() {
        await new Promise((resolve) => setTimeout(resolve, 300));
        history.push("first stops");
      },
    });
    const second = candidate("second", direct.kube, history);
    first.elector.start();
    await until("the first leads", () => first.elector.isLeading());
    second.elector.start();
    await first.elector.stop();
    expect(first.signals[0]?.aborted).toBe(true);
    await until("the second leads", () => second.elector.isLeading());
    expect(history).toEqual(["first starts", "first stops", "second starts"]);
    expect((await readLease())?.spec.leaseTransitions).toBe(1);
    await second.elector.stop();
    expect((await readLease())?.spec.holderIdentity).toBe("");
  });

  test("work that does not end keeps the lease from being handed over", async () => {
    const hung = candidate("hung", direct.kube, [], { onStopped: () => new Promise(() => {}) });
    hung.elector.start();
    await until("it leads", () => hung.elector.isLeading());
    await hung.elector.stop();
    expect(hung.elector.isLeading()).toBe(false);
    expect((await readLease())?.spec.holderIdentity).toBe("hung");
  });

  for (const [name, fault] of [
    ["is cut off", { kind: "reset" }],
    ["gets no answer", { kind: "silence" }],
    ["is refused", { kind: "answer", status: 500 }],
    ["is written but hears nothing", { kind: "lostAnswer" }],
  ] as const) {
    test(`a leader that ${name} stops before another starts`, async () => {
      const history: History = [];
      // So late that it must stop in the middle of an attempt, not at the next.
      const late = { ...SHORT, renewDeadlineMs: 1_900 };
      const first = candidate("first", through.kube, history, late);
      const second = candidate("second", direct.kube, history, SHORT);
      first.elector.start();
      await until("the first leads", () => first.elector.isLeading());
      proxy.fault = () => fault;
      const before = history.length;
      second.elector.start();
      await until("the first gives up", () => history.length > before);
      expect(first.elector.isLeading()).toBe(false);
      // In the last case its renewals arrive though it does not know; then nobody leads.
      if (fault.kind === "lostAnswer") proxy.fault = () => ({ kind: "reset" });
      await until("the second leads", () => second.elector.isLeading());
      proxy.fault = () => undefined;
      await second.elector.stop();
      await until("the first leads again", () => first.elector.isLeading());
      await first.elector.stop();
      expectOneAtATime(history);
      expect(history.slice(before, before + 2)).toEqual(["first stops", "second starts"]);
    });
  }

  test("a short outage costs nothing", async () => {
    const history: History = [];
    const { elector } = candidate("calm", through.kube, history);
    elector.start();
    await until("it leads", () => elector.isLeading());
    let refused = 0;
    proxy.fault = () => {
      refused += 1;
      return refused <= 3 ? { kind: "answer", status: 500 } : undefined;
    };
    const before = await readLease();
    await until("it renews again", async () => {
      const lease = await readLease();
      return refused > 3 && lease?.spec.renewTime !== before?.spec.renewTime;
    });
    expect(history).toEqual(["calm starts"]);
    await elector.stop();
  });

  test("a process that slept longer than its lease knows it on waking", async () => {
    const history: History = [];
    let sleptMs = 0;
    const clock = { ...systemClock, monotonicMs: () => performance.now() + sleptMs };
    const { elector } = candidate("sleeper", direct.kube, history, {
      clock,
      async onStopped() {
        await new Promise((resolve) => setTimeout(resolve, 500));
        history.push("sleeper stops"); // What it did before must end before it begins anew.
      },
    });
    elector.start();
    await until("it leads", () => elector.isLeading());
    sleptMs = 65_000;
    // Before any timer of its own had the time to fire.
    expect(elector.isLeading()).toBe(false);
    await until("it leads anew", () => elector.isLeading());
    await elector.stop();
    expect(history.slice(0, 3)).toEqual(["sleeper starts", "sleeper stops", "sleeper starts"]);
    expectOneAtATime(history);
  });

  test("a leader whose lease was taken by force stops, and does not take it back", async () => {
    const history: History = [];
    const { elector } = candidate("robbed", direct.kube, history);
    elector.start();
    await until("it leads", () => elector.isLeading());
    await until("the robbery", async () => {
      const lease = await readLease();
      const now = microTime(Date.now());
      const spec = { holderIdentity: "robber", leaseDurationSeconds: 60, renewTime: now };
      const taken = await direct.kube.replace({ ...(lease as Lease), spec }).catch(() => undefined);
      return taken !== undefined;
    });
    await until("it stops", () => history.includes("robbed stops"));
    await elector.stop();
    expect((await readLease())?.spec.holderIdentity).toBe("robber");
    expect(history).toEqual(["robbed starts", "robbed stops"]);
  });

  test("a lease deleted under the leader is made anew by whoever is first", async () => {
    const history: History = [];
    const { elector } = candidate("firm", direct.kube, history);
    elector.start();
    await until("it leads", () => elector.isLeading());
    const lease = (await readLease()) as Lease;
    await direct.kube.delete(lease);
    await until(
      "there is a lease",
      async () => (await readLease())?.spec.holderIdentity === "firm",
    );
    await elector.stop();
    expectOneAtATime(history);
  });

  test("of many candidates one leads at a time, through stops and outages", async () => {
    const history: History = [];
    const crowd = ["one", "two", "three", "four"].map((name) =>
      candidate(name, name === "one" ? through.kube : direct.kube, history, SHORT),
    );
    for (const { elector } of crowd) elector.start();
    const leaders = () => crowd.filter(({ elector }) => elector.isLeading());
    for (let round = 0; round < crowd.length; round += 1) {
      await until("one leads", () => leaders().length === 1);
      const [leader] = leaders();
      if (leader?.name === "one") {
        proxy.fault = () => ({ kind: "reset" });
        await until("it gives up", () => !leader.elector.isLeading());
      }
      await leader?.elector.stop();
      proxy.fault = () => undefined;
    }
    expect(new Set(history)).toEqual(
      new Set(crowd.flatMap(({ name }) => [`${name} starts`, `${name} stops`])),
    );
    expectOneAtATime(history);
  });

  test("times that can not keep leaders apart are refused", () => {
    const times = (leaseDurationMs: number, renewDeadlineMs: number, retryPeriodMs: number) => () =>
      candidate("x", direct.kube, [], { leaseDurationMs, renewDeadlineMs, retryPeriodMs });
    expect(times(10_000, 10_000, 2_000)).toThrow("Cannot elect a leader");
    expect(times(15_000, 2_000, 2_000)).toThrow("Cannot elect a leader");
    expect(times(1_500, 1_000, 100)).toThrow("Cannot elect a leader");
  });
});
