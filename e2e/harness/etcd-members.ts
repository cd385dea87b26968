/** The members of one etcd: usually one, or three, of which any one may be lost. */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { Etcd } from "./etcd.ts";
import { startEtcd } from "./etcd.ts";
import { metricOf } from "./metrics.ts";
import { freePort } from "./ports.ts";
import { scratch } from "./scratch.ts";

export interface EtcdMembers {
  /** All that run, dead ones left out. */
  readonly members: readonly Etcd[];
  readonly clientPorts: readonly number[];
  readonly endpoints: readonly string[];
  readonly stop: () => Promise<void>;
  /** SIGSTOP, all of them. */
  readonly pause: () => void;
  /** SIGCONT. */
  readonly resume: () => void;
  /** SIGKILL for the one that leads. @returns how to start it again with what it has on disk */
  readonly loseLeader: () => Promise<() => Promise<void>>;
}

export async function startEtcdMembers(count: number): Promise<EtcdMembers> {
  const { folder, remove } = await scratch("etcd"); // A member that is lost must not take its data along.
  const places = await Promise.all(
    Array.from({ length: count }, async (_, index) => ({
      name: `etcd-${index + 1}`,
      port: await freePort(),
      peerPort: await freePort(),
    })),
  );
  const initialCluster = places
    .map(({ name, peerPort }) => `${name}=http://127.0.0.1:${peerPort}`)
    .join(",");
  const running = new Map<string, Etcd>();
  const start = async ({ name, port, peerPort }: (typeof places)[number]) => {
    const dir = path.join(folder, name);
    await mkdir(dir, { recursive: true });
    running.set(name, await startEtcd({ dir, port, member: { name, peerPort, initialCluster } }));
  };
  const all = () => [...running.values()];
  const starting = places.map(start);
  await Promise.allSettled(starting); // If one fails, the others must be ended.
  const stop = async () => {
    await Promise.all(all().map((member) => member.kill())); // Nobody needs what it would still write.
    await remove();
  };
  await Promise.all(starting).catch(async (error) => {
    await stop();
    throw error;
  });
  return {
    get members() {
      return all();
    },
    clientPorts: places.map(({ port }) => port),
    endpoints: places.map(({ port }) => `http://127.0.0.1:${port}`),
    stop,
    pause: () => {
      for (const member of all()) member.pause();
    },
    resume: () => {
      for (const member of all()) member.resume();
    },
    loseLeader: async () => {
      const place = await leaderOf(places);
      await running.get(place.name)?.kill();
      running.delete(place.name);
      return () => start(place);
    },
  };
}

async function leaderOf<P extends { readonly port: number }>(places: readonly P[]): Promise<P> {
  for (const place of places) {
    if ((await metricOf(place.port, "etcd_server_is_leader")) === 1) return place;
  }
  throw new Error("Cannot find etcd's leader: no member says that it leads");
}
