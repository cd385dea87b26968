/** The files of a node and of its proxy. One per revision, immutable: a node restarts as it began. */
import { stringify } from "yaml";
import type { Cluster } from "../api/xmpp-cluster.ts";
import type { ConfigMap } from "./kinds.ts";
import { ownedBy, revisionLabels } from "./labels.ts";
import { names } from "./names.ts";
import { proxyFiles, proxySettings } from "./proxy.ts";
import { nodeSettings } from "./settings.ts";

export const configMap = (cluster: Cluster, revision: string): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: ownedBy(
    cluster,
    names.revision(cluster.name, revision),
    revisionLabels(cluster, revision),
  ),
  immutable: true,
  data: {
    "zonda.yaml": stringify(nodeSettings(cluster), { lineWidth: 0 }),
    ...(cluster.spec.tls.endsAt === "Proxy" && proxyFiles(proxySettings(cluster))),
  },
});
