/**
 * Schema version 3: nodes of publish-subscribe and their items. Both tables share the partition
 * key, so that Cassandra applies a publication, which writes both, as one. A node's row repeats its
 * last item: whoever comes online is sent the last items of many nodes, in one read of one table.
 * removed_us is when a node was last removed: one made again is written after it.
 */
import type { CassandraMigration } from "../migrate.ts";

export const pubsub: CassandraMigration = {
  version: 3,
  compatibleFrom: 3,
  statements: [
    `CREATE TABLE IF NOT EXISTS pubsub_nodes (
      owner text,
      node text,
      config text,
      affiliations map<text, text>,
      subscriptions map<text, text>,
      changed_us bigint,
      last_item text,
      last_publisher text,
      last_published_us bigint,
      last_payload blob,
      removed_us bigint static,
      PRIMARY KEY (owner, node)
    ) WITH compaction = {'class': 'LeveledCompactionStrategy'}`,
    `CREATE TABLE IF NOT EXISTS pubsub_items (
      owner text,
      node text,
      item text,
      publisher text,
      published_us bigint,
      payload blob,
      PRIMARY KEY (owner, node, item)
    ) WITH compaction = {'class': 'LeveledCompactionStrategy'}`,
  ],
};
