/** VersionConsistent: all nodes run the same version. */
import type { Finding } from "./conditions.ts";
import type { View } from "./view.ts";

export function versionConsistent({ versions }: View): Finding {
  const type = "VersionConsistent";
  const [first, ...others] = [...versions].map(
    ([version, count]) => `${count} ${count === 1 ? "node runs" : "nodes run"} ${version}`,
  );
  if (first === undefined) {
    return { type, status: "Unknown", reason: "NoNodes", message: "No node runs" };
  }
  if (others.length === 0) {
    return { type, status: "True", reason: "OneVersion", message: first };
  }
  return { type, status: "False", reason: "MixedVersions", message: [first, ...others].join(", ") };
}
