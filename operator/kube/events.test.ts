import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Clock } from "../loop/clock.ts";
import { FakeClock } from "../loop/fake-clock.ts";
import type { Kube, KubeObject } from "./contract.ts";
import { createEventRecorder } from "./events.ts";
import {
  configMap,
  connect,
  createNamespace,
  silentLog,
  testServer,
  until,
} from "./testing/api-server.ts";
import { FaultProxy } from "./testing/fault-proxy.ts";

const { kube, close } = connect();
let namespace = "";

beforeAll(async () => {
  namespace = await createNamespace(kube);
});
afterAll(() => close());

interface Event extends KubeObject {
  readonly reason: string;
  readonly note: string;
  readonly series?: { readonly count: number };
  readonly regarding: { readonly name: string; readonly uid: string };
}

async function eventsAbout(name: string): Promise<readonly Event[]> {
  const events = await kube.list<Event>("events.k8s.io/v1", "Event", { namespace });
  return events.filter((event) => event.regarding.name === name);
}

function recorder(clock: Clock = new FakeClock(), to: Kube = kube) {
  const dropped: string[] = [];
  const events = createEventRecorder({
    kube: to,
    controller: "zonda.example/operator",
    instance: "operator-0",
    clock,
    log: silentLog,
    metrics: { eventDropped: (why) => dropped.push(why) },
  });
  return { events, dropped };
}

async function subject(name: string): Promise<KubeObject> {
  return (await kube.apply(configMap(namespace, name))).object;
}

const rolled = { type: "Normal", reason: "Rolled", action: "Roll", note: "All is new" } as const;

describe("events", () => {
  test("one is written as the API server wants it", async () => {
    const { events, dropped } = recorder();
    const regarding = await subject("plain");
    events.record({ regarding, ...rolled });
    await events.stop();
    const [event, ...others] = await eventsAbout("plain");
    expect(others).toEqual([]);
    expect(event).toMatchObject({
      reason: "Rolled",
      note: "All is new",
      reportingController: "zonda.example/operator",
      regarding: { kind: "ConfigMap", uid: regarding.metadata.uid },
    });
    expect(dropped).toEqual([]);
  });

  test("repeats are one event with a count, written once a minute", async () => {
    const clock = new FakeClock();
    const { events } = recorder(clock);
    const regarding = await subject("often");
    for (let count = 0; count < 5; count += 1) events.record({ regarding, ...rolled });
    await until("the event", async () => (await eventsAbout("often")).length === 1);
    const countOf = async () => (await eventsAbout("often"))[0]?.series?.count;
    expect(await countOf()).toBeUndefined();
    // What was told while the first was on its way is not forgotten.
    await until("the plan to write the count", () => clock.nextInMs === 60_000);
    clock.advance(60_000);
    await until("the first count", async () => (await countOf()) === 5 && clock.pending === 0);
    for (let count = 0; count < 95; count += 1) events.record({ regarding, ...rolled });
    clock.advance(60_000);
    await until("the last count", async () => (await countOf()) === 100);
    expect(await eventsAbout("often")).toHaveLength(1);
    await events.stop();
  });

  test("what tells something else is another event, and so is a repeat after a pause", async () => {
    const clock = new FakeClock();
    const { events } = recorder(clock);
    const regarding = await subject("varied");
    events.record({ regarding, ...rolled });
    events.record({ regarding, ...rolled, note: "All but one is new" });
    events.record({ regarding, ...rolled, reason: "RolledBack" });
    await until("three events", async () => (await eventsAbout("varied")).length === 3);
    clock.advance(6 * 60_000 + 1);
    events.record({ regarding, ...rolled });
    await until("a fourth", async () => (await eventsAbout("varied")).length === 4);
    await events.stop();
  });

  test("an event that ran out is written anew", async () => {
    const clock = new FakeClock();
    const { events, dropped } = recorder(clock);
    const regarding = await subject("old");
    events.record({ regarding, ...rolled });
    await until("the event", async () => (await eventsAbout("old")).length === 1);
    for (const event of await eventsAbout("old")) await kube.delete(event);
    clock.advance(60_000);
    events.record({ regarding, ...rolled }); // Finds it gone.
    clock.advance(1);
    await expect
      .poll(async () => {
        events.record({ regarding, ...rolled });
        return (await eventsAbout("old")).length;
      })
      .toBe(1);
    expect(dropped).toEqual([]);
    await events.stop();
  });

  test("a flood about one object is dropped, another object is heard", async () => {
    const { events, dropped } = recorder();
    const [loud, quiet] = [await subject("loud"), await subject("quiet")];
    for (let count = 0; count < 100; count += 1) {
      events.record({ regarding: loud, ...rolled, note: `Number ${count}` });
    }
    events.record({ regarding: quiet, ...rolled });
    await events.stop();
    expect(await eventsAbout("loud")).toHaveLength(25);
    expect(await eventsAbout("quiet")).toHaveLength(1);
    expect(dropped).toEqual(Array.from({ length: 75 }, () => "flood"));
  });

  test("a note too long is cut between characters, not refused", async () => {
    const { events, dropped } = recorder();
    const regarding = await subject("long");
    events.record({ regarding, ...rolled, note: "é".repeat(3_000), reason: "R".repeat(300) });
    await events.stop();
    const [event] = await eventsAbout("long");
    expect(event?.note).toMatch(/^é+…$/);
    expect(Buffer.byteLength(event?.note ?? "")).toBeLessThanOrEqual(1_024);
    expect(event?.reason).toHaveLength(128);
    expect(dropped).toEqual([]);
  });

  test("a refusal or a dead server never reaches the caller", async () => {
    const proxy = await FaultProxy.start(testServer());
    const through = connect(proxy.address);
    const clock = new FakeClock();
    const { events, dropped } = recorder(clock, through.kube);
    const regarding = await subject("unlucky");
    proxy.fault = () => ({ kind: "reset" });
    events.record({ regarding, ...rolled });
    events.record({ regarding, ...rolled, reason: "" }); // The server would refuse it too.
    await until("both are given up", () => dropped.length === 2);
    proxy.fault = () => ({ kind: "silence" });
    for (let count = 0; count < 10; count += 1) {
      events.record({ regarding, ...rolled, note: `Number ${count}` });
    }
    const stopped = events.stop();
    await until("its request waits", () => proxy.requests.length > 1);
    clock.advance(5_000);
    await stopped;
    expect(dropped).toEqual(Array.from({ length: 12 }, () => "refused"));
    events.record({ regarding, ...rolled });
    await through.close();
    await proxy.stop();
  });
});
