/** Schema version 3: nodes of publish-subscribe and their items. */
import type { SqliteMigration } from "../migrate.ts";

export const pubsub: SqliteMigration = {
  version: 3,
  compatibleFrom: 3,
  statements: [
    `CREATE TABLE pubsub_nodes (
      owner TEXT NOT NULL,
      node TEXT NOT NULL,
      config TEXT NOT NULL,
      affiliations TEXT NOT NULL,
      subscriptions TEXT NOT NULL,
      changed_us INTEGER NOT NULL,
      last_item TEXT,
      last_publisher TEXT,
      last_published_us INTEGER,
      last_payload BLOB,
      PRIMARY KEY (owner, node)
    ) STRICT`,
    `CREATE TABLE pubsub_items (
      owner TEXT NOT NULL,
      node TEXT NOT NULL,
      item TEXT NOT NULL,
      publisher TEXT NOT NULL,
      published_us INTEGER NOT NULL,
      payload BLOB NOT NULL,
      PRIMARY KEY (owner, node, item)
    ) STRICT`,
  ],
};
