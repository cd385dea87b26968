/** Who is there, from etcd, for people. */
import type { EtcdClient } from "./client.ts";
import { unavailable } from "./client.ts";
import type { Keys } from "./keys.ts";

/** Keys of one page. */
const PAGE_USERS = 1_000;

/** The users who have routes, each once. @throws Unavailable */
export async function* listUsers(kv: EtcdClient["kv"], keys: Keys): AsyncIterable<string> {
  const { key: first, end } = keys.routes;
  let key = first;
  let last = "";
  for (;;) {
    const page = await kv
      .range({ key, range_end: end, limit: PAGE_USERS, keys_only: true })
      .catch((error: unknown) => {
        throw unavailable("list users", error);
      });
    for (const one of page.kvs) {
      const user = keys.userOf(one.key);
      if (user !== last) yield user; // All of a user's keys are neighbours.
      last = user;
    }
    const lastKey = page.kvs.at(-1)?.key;
    if (!page.more || lastKey === undefined) return;
    key = Buffer.concat([lastKey, Buffer.from([0])]);
  }
}
