/** Nodes of a test cluster on the etcd that the test runner started. */
import type { Etcd3 } from "etcd3";
import { vi } from "vitest";
import type { Clock } from "../../base/clock.ts";
import { systemClock } from "../../base/clock.ts";
import { randomId, systemRandom } from "../../base/random.ts";
import type { EtcdClientOptions } from "../client.ts";
import { openClient } from "../client.ts";
import type { EtcdRoutes, EtcdRoutesOptions } from "../etcd.ts";
import { openEtcdRoutes } from "../etcd.ts";
import { Diary, makeNode } from "./records.ts";

const needed = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`Cannot test: ${name} is not set; run npm test`);
  return value;
};

/** Of the etcd that all tests share: nobody may pause or end it. */
export const sharedEndpoint = (): string => needed("ZONDA_TEST_ETCD");

const REQUEST_MS = 8_000;
/** A test, or etcd, may stand still for seconds: no lease lapses by that. */
export const LEASE_SECONDS = 10;

const accessTo = (
  access: Partial<EtcdClientOptions> & { readonly endpoints: readonly string[] },
): EtcdClientOptions => ({ requestTimeoutMs: REQUEST_MS, ...access });

export interface TestNode {
  readonly routes: EtcdRoutes;
  readonly diary: Diary;
}

/** The nodes of one test, on keys of their own; each tells the others as the mesh would. */
export class TestCluster {
  readonly prefix = `/test/${randomId(systemRandom)}/`;
  readonly client: Etcd3;
  readonly #access: ReturnType<typeof accessTo>;
  readonly #nodes = new Map<string, TestNode>();
  /** Notices to these nodes fail. */
  readonly deaf = new Set<string>();
  /** Every notice, as "node user". */
  readonly notices: string[] = [];

  constructor(access: Partial<EtcdClientOptions> & { readonly endpoints: readonly string[] }) {
    this.#access = accessTo(access);
    this.client = openClient(this.#access);
  }

  async start(
    incarnation = "self",
    changes: Partial<EtcdRoutesOptions> = {},
    clock: Clock = systemClock,
  ): Promise<TestNode> {
    const diary = new Diary();
    const routes = await openEtcdRoutes({
      self: makeNode(incarnation),
      ...this.#access,
      prefix: this.prefix,
      leaseSeconds: LEASE_SECONDS,
      events: diary,
      clock,
      cacheUsersMax: 1_000,
      notifySiblings: async (to, user, set) => {
        this.notices.push(`${to} ${user}`);
        if (this.deaf.has(to)) throw new Error("no link");
        this.#nodes.get(to)?.routes.learn(user, set);
      },
      ...changes,
    });
    const node = { routes, diary };
    this.#nodes.set(incarnation, node);
    return node;
  }

  /** The revision etcd has reached: one more for each transaction that wrote. */
  async revision(): Promise<number> {
    const { header } = await this.client.kv.range({ key: Buffer.from("/none"), count_only: true });
    return Number(header.revision);
  }

  async leaseOf(node: string): Promise<string> {
    const { kvs } = await this.client.kv.range({ key: Buffer.from(`${this.prefix}nodes/${node}`) });
    return kvs[0]?.lease ?? "0";
  }

  /** As it happens to a node that etcd does not hear for too long. */
  async lapse(node: string): Promise<void> {
    await this.client.leaseClient.leaseRevoke({ ID: await this.leaseOf(node) });
  }

  async keys(): Promise<readonly string[]> {
    return this.client.getAll().prefix(this.prefix).keys();
  }

  async end(): Promise<void> {
    await Promise.all([...this.#nodes.values()].map(({ routes }) => routes[Symbol.asyncDispose]()));
    await this.client.delete().prefix(this.prefix);
    this.client.close();
  }
}

/** What `work` answers once etcd, which has to catch up after a pause, does answer. */
export const recovered = <T>(work: () => Promise<T>): Promise<T> =>
  vi.waitFor(work, { timeout: 60_000, interval: 50 });

/** Asks until it is so; the test's own timeout is the deadline. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10));
}
