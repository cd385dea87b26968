/** What all nodes of one story share. */
import type { EtcdHealth } from "./etcd-client.ts";
import type { EtcdModel } from "./etcd-model.ts";
import type { Network } from "./network.ts";
import type { SimNode } from "./node.ts";
import type { SimStore } from "./store.ts";
import type { World } from "./world.ts";

export interface Setting {
  readonly world: World;
  readonly network: Network;
  readonly model: EtcdModel;
  readonly etcdHealth: EtcdHealth;
  readonly store: SimStore;
  nodeAt(machine: string): SimNode | undefined;
  /** Just before a process dies. */
  onDeath(node: SimNode): void;
  /** Just before it is not there any more, dead or drained. */
  onGone(node: SimNode): void;
  /** The code of a node has logged an error. */
  onError(node: SimNode, fields: object, event: string): void;
}
