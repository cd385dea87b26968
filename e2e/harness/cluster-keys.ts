/** What the nodes of one XmppCluster keep in etcd, as a test reads it. */
import { Etcd3 } from "etcd3";

export interface ClusterKeys {
  /** The incarnation of the node with that name. @throws Error when there is none */
  readonly incarnationOf: (name: string) => Promise<string>;
  /** How many routes lead to that incarnation. */
  readonly routesOf: (incarnation: string) => Promise<number>;
  /** How many keys there are, without notes that etcd removes by itself, in an hour and ten minutes at most. */
  readonly count: () => Promise<number>;
}

const DEADLINE_MS = 10_000;
const NO_LEASE = "0";
/** Void copies, and steps of sessions. */
const NOTES = ["void/", "steps/"];

/** @param prefix all keys of the cluster start with it: "/zonda/<namespace>/<name>/" */
export function clusterKeys(endpoint: string, prefix: string): ClusterKeys {
  async function values<T>(under: string): Promise<readonly T[]> {
    await using client = opened(endpoint);
    const found = await client.etcd.getAll().prefix(`${prefix}${under}`).strings();
    return Object.values(found).map((text) => JSON.parse(text) as T);
  }
  return {
    incarnationOf: async (name) => {
      const records = await values<{ name: string; incarnation: string }>("nodes/");
      const record = records.find((one) => one.name === name);
      if (record !== undefined) return record.incarnation;
      throw new Error(`Cannot find node ${name} in etcd: it has ${JSON.stringify(records)}`);
    },
    routesOf: async (incarnation) =>
      (await values<{ n: string }>("routes/")).filter(({ n }) => n === incarnation).length,
    count: async () => {
      await using client = opened(endpoint);
      const { kvs } = await client.etcd.getAll().prefix(prefix).exec();
      const isPassing = ({ key, lease }: { readonly key: Buffer; readonly lease: string }) =>
        NOTES.some((kind) => key.toString().startsWith(`${prefix}${kind}`)) && lease !== NO_LEASE;
      return kvs.filter((one) => !isPassing(one)).length;
    },
  };
}

/** A connection for one question: a test may run for minutes between two. */
function opened(endpoint: string) {
  const defaultCallOptions = () => ({ deadline: Date.now() + DEADLINE_MS });
  const etcd = new Etcd3({ hosts: endpoint, defaultCallOptions });
  return { etcd, [Symbol.asyncDispose]: async () => etcd.close() };
}
