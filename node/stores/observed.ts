/** Tells an observer about every call of a store, whichever engine it is. */
import type { Clock } from "../base/clock.ts";
import type { Observe, Stores } from "./contract.ts";

/** `stores` with each call reported. accounts.list is not: its pace is its reader's. */
export function observedStores(stores: Stores, observe: Observe, clock: Clock): Stores {
  async function told<T>(operation: string, work: () => Promise<T>): Promise<T> {
    const startMs = clock.monotonicMs();
    let failed = true;
    try {
      const value = await work();
      failed = false;
      return value;
    } finally {
      observe(operation, clock.monotonicMs() - startMs, failed);
    }
  }
  const { accounts, rosters, offline, archive, documents, pubsub, tokens, secrets } = stores;
  return {
    accounts: {
      create: (user, credentials) =>
        told("accounts.create", () => accounts.create(user, credentials)),
      credentials: (user) => told("accounts.credentials", () => accounts.credentials(user)),
      exists: (user) => told("accounts.exists", () => accounts.exists(user)),
      setCredentials: (user, credentials) =>
        told("accounts.setCredentials", () => accounts.setCredentials(user, credentials)),
      addKeys: (user, known, credentials) =>
        told("accounts.addKeys", () => accounts.addKeys(user, known, credentials)),
      setDisabled: (user, isDisabled) =>
        told("accounts.setDisabled", () => accounts.setDisabled(user, isDisabled)),
      delete: (user) => told("accounts.delete", () => accounts.delete(user)),
      list: (domain) => accounts.list(domain),
    },
    rosters: {
      load: (user) => told("rosters.load", () => rosters.load(user)),
      item: (user, contact) => told("rosters.item", () => rosters.item(user, contact)),
      update: (user, contact, patch) =>
        told("rosters.update", () => rosters.update(user, contact, patch)),
      remove: (user, contact) => told("rosters.remove", () => rosters.remove(user, contact)),
    },
    offline: {
      add: (user, message, messagesMax) =>
        told("offline.add", () => offline.add(user, message, messagesMax)),
      list: (user, limit, afterId) =>
        told("offline.list", () => offline.list(user, limit, afterId)),
      remove: (user, ids) => told("offline.remove", () => offline.remove(user, ids)),
    },
    archive: {
      add: (user, message, keptSeconds) =>
        told("archive.add", () => archive.add(user, message, keptSeconds)),
      page: (user, range, limit, end) =>
        told("archive.page", () => archive.page(user, range, limit, end)),
      get: (user, ids) => told("archive.get", () => archive.get(user, ids)),
      ids: (user, fromMs, untilMs, limit) =>
        told("archive.ids", () => archive.ids(user, fromMs, untilMs, limit)),
      remove: (user, peer, ids) => told("archive.remove", () => archive.remove(user, peer, ids)),
      sweep: (beforeMs) => told("archive.sweep", () => archive.sweep(beforeMs)),
    },
    documents: {
      list: (user, kind) => told("documents.list", () => documents.list(user, kind)),
      get: (user, kind, key) => told("documents.get", () => documents.get(user, kind, key)),
      change: (user, kind, changes) =>
        told("documents.change", () => documents.change(user, kind, changes)),
    },
    pubsub: {
      list: (owner) => told("pubsub.list", () => pubsub.list(owner)),
      read: (owner, names) => told("pubsub.read", () => pubsub.read(owner, names)),
      create: (owner, name, patch) =>
        told("pubsub.create", () => pubsub.create(owner, name, patch)),
      change: (owner, node, patch) =>
        told("pubsub.change", () => pubsub.change(owner, node, patch)),
      remove: (owner, node) => told("pubsub.remove", () => pubsub.remove(owner, node)),
      publish: (owner, node, item, keeping) =>
        told("pubsub.publish", () => pubsub.publish(owner, node, item, keeping)),
      itemIds: (owner, name) => told("pubsub.itemIds", () => pubsub.itemIds(owner, name)),
      items: (owner, name, ids) => told("pubsub.items", () => pubsub.items(owner, name, ids)),
      removeItems: (owner, node, ids, last) =>
        told("pubsub.removeItems", () => pubsub.removeItems(owner, node, ids, last)),
    },
    tokens: {
      list: (user) => told("tokens.list", () => tokens.list(user)),
      change: (user, change, asOfUs) =>
        told("tokens.change", () => tokens.change(user, change, asOfUs)),
      clear: (user) => told("tokens.clear", () => tokens.clear(user)),
    },
    secrets: {
      keep: (name, proposed) => told("secrets.keep", () => secrets.keep(name, proposed)),
    },
    ...(stores.budgets !== undefined && { budgets: stores.budgets }),
    ping: () => told("ping", () => stores.ping()),
    [Symbol.asyncDispose]: () => stores[Symbol.asyncDispose](),
  };
}
