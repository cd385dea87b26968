/**
 * The name of a revision: a digest of what a person asked for that a running node cannot change.
 * It covers the spec, not the objects built from it, so that an operator upgrade alone, which may
 * build them differently, replaces no node. Fields added to the spec later go in only when they
 * are set or differ from their default; the golden test holds this to account.
 */
import { createHash } from "node:crypto";
import type { Cluster } from "../api/xmpp-cluster.ts";

const LENGTH = 10;

export function revisionOf({ spec }: Cluster): string {
  const { version, image, domains, config, etcd, cassandra, upload, resources, update } = spec;
  const { endsAt, proxyResources, ...certificates } = spec.tls;
  const tls = endsAt === "Proxy" ? { ...certificates, endsAt, proxyResources } : certificates;
  const inputs = { version, image, domains, config, etcd, cassandra, tls, upload, resources };
  const text = canonical({ ...inputs, drain: update.drain });
  return createHash("sha256").update(text).digest("hex").slice(0, LENGTH);
}

/** JSON with sorted keys, without what is undefined or an object with nothing in it: "". */
function canonical(value: unknown): string {
  if (value === undefined) return "";
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item) || "{}").join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .map(([key, item]) => [JSON.stringify(key), canonical(item)] as const)
    .filter(([, text]) => text !== "")
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, text]) => `${key}:${text}`);
  return members.length === 0 ? "" : `{${members.join(",")}}`;
}
