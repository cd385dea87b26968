/** What the server itself does with a user's nodes, in the user's name. */
import { detachedBytes } from "../../xml/detached.ts";
import type { PepService } from "../contract.ts";
import { createNode } from "./manage.ts";
import type { Owners, Service } from "./node.ts";
import { findNode } from "./node.ts";
import { itemOf } from "./personal.ts";
import { publishAt, retractAt } from "./publish.ts";

export function ownNodes(all: Service): Pick<PepService, "items" | "publish" | "retract"> {
  const { store, owners } = all;
  // Whoever asks for it knows of it: what a module makes of a change causes no other one.
  const changed: Owners["changed"] = async (node, { event }) => {
    if (event !== undefined) await owners.tell(node, event);
  };
  const service: Service = { ...all, owners: { ...owners, changed } };
  return {
    async items(user, name) {
      const node = await findNode(service, user, name);
      if (node === undefined) return undefined;
      const ids = (await store.itemIds(user, name)).map(({ id }) => id);
      const found = new Map((await store.items(user, name, ids)).map((item) => [item.id, item]));
      return ids.flatMap((id) => {
        const item = found.get(id);
        return item === undefined ? [] : [itemOf(item)];
      });
    },
    async publish(user, name, { id, payload }) {
      const found = await findNode(service, user, name);
      const node = found ?? (await createNode(service, user, name, owners.defaults(name)));
      await publishAt(service, node, { id, publisher: user, payload: detachedBytes(payload) });
    },
    async retract(user, name, ids) {
      const node = await findNode(service, user, name);
      if (node === undefined) return;
      const all = await store.itemIds(user, name);
      const there = all.filter(({ id }) => ids.includes(id)).map(({ id }) => id);
      if (there.length === 0) return;
      await retractAt(service, node, { ids: there, all, isToldOf: node.config.notifyRetract });
    },
  };
}
