import { expect, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { silentLog } from "../base/log.ts";
import type { LeaseOptions } from "./lease.ts";
import { LeaseKeeper } from "./lease.ts";

const away = new Unavailable("routes-timeout", "Cannot write routes: no answer");

/** Leases that etcd grants, and of which it says nothing more, not even that one was given back. */
function bench(isPublished: (leaseId: string) => boolean | Promise<boolean>) {
  const clock = new FakeClock();
  const said: string[] = [];
  let granted = 0;
  const leases = {
    leaseGrant: async () => {
      granted += 1;
      return { ID: String(granted), TTL: "6" };
    },
    leaseTimeToLive: () => Promise.reject(away),
    leaseRevoke: () => new Promise(() => {}),
  };
  const keeper = new LeaseKeeper({
    leases: leases as unknown as LeaseOptions["leases"],
    ttlSeconds: 6,
    clock,
    log: silentLog,
    async publish(leaseId) {
      said.push(`publish on ${leaseId}`);
      if (!(await isPublished(leaseId))) throw away;
    },
    onUnproven: () => void said.push("unproven"),
    onLost: () => void said.push("lost"),
    onRegained: () => void said.push("regained"),
  });
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 100) {
      clock.advance(100);
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  };
  return { keeper, said, pass };
}

test("what was put on a lease that lapsed while publishing is put on the next one again", async () => {
  const { keeper, said, pass } = bench((leaseId) => leaseId !== "2");
  await keeper.start();
  await pass(6_000);
  expect(said.slice(0, 4)).toEqual(["publish on 1", "unproven", "lost", "unproven"]);
  await pass(12_000);
  const third = said.indexOf("publish on 3");
  expect(said.slice(said.indexOf("publish on 2"), third)).toContain("unproven");
  expect(said.slice(third - 1, third + 2)).toEqual(["unproven", "publish on 3", "regained"]);
  void keeper.stop();
});

test("what waits for a lease while it is published on one that lapses is published on the next one", async () => {
  const stuck = Promise.withResolvers<boolean>();
  const { keeper, said, pass } = bench((leaseId) => (leaseId === "2" ? stuck.promise : true));
  await keeper.start();
  expect(keeper.provenId).toBe("1");
  await pass(6_000);
  expect(keeper.provenId).toBe("2");
  expect(() => keeper.id).toThrow("this node has no lease");
  await pass(6_000);
  expect(said.slice(said.indexOf("publish on 2"))).toEqual([
    ...["publish on 2", "unproven", "unproven", "publish on 3", "regained"],
  ]);
  stuck.resolve(true);
  await pass(100);
  expect(said.filter((line) => line === "regained")).toHaveLength(1);
  void keeper.stop();
});
