/** What labels and conditions say of a node and of a revision, once they are built. */
import { REVISION_LABEL, VERSION_LABEL } from "../api/names.ts";
import type { Pod, ReplicaSet } from "./kinds.ts";

export const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false;

export const isStopping = ({ metadata }: Pod): boolean => metadata.deletionTimestamp !== undefined;

export const revisionOfObject = ({ metadata }: Pod | ReplicaSet): string =>
  metadata.labels?.[REVISION_LABEL] ?? "";

export const versionOfObject = ({ metadata }: Pod | ReplicaSet): string =>
  metadata.labels?.[VERSION_LABEL] ?? "";
