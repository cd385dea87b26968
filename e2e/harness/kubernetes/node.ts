/** What runs on the one node: containerd, the kubelet, the service proxy and the name server. */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { run } from "../run.ts";
import { find } from "../tools.ts";
import { isUnixListening, waitFor } from "../wait.ts";
import { makeCgroups } from "./cgroups.ts";
import { NODE_NAME } from "./identity.ts";
import { NODE_ADDRESS, POD_RANGE } from "./namespace.ts";
import { nodeFiles, placesIn } from "./node-config.ts";
import type { Site } from "./parts.ts";
import { flags, startPart } from "./parts.ts";

/** Writes the files of the node and makes its cgroups. */
export async function prepareNode(site: Site, sandboxImage: string): Promise<void> {
  const files = nodeFiles({ ...site, sandboxImage });
  for (const [file, text] of Object.entries(files)) {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  await makeCgroups(site.name);
}

/** Starts containerd and resolves once it answers. */
export async function startContainerd(site: Site): Promise<void> {
  const { containerd, socket } = placesIn(site.folder);
  const running = await startPart(site, {
    name: "containerd",
    command: find("containerd") ?? "containerd",
    args: ["--config", containerd],
  });
  const ask = async () => (await isUnixListening(socket)) || undefined;
  await waitFor(ask, { what: "containerd", deadlineMs: 30_000, unless: running.failed });
}

/** Makes an image (a docker-archive) usable by pods. */
export async function importImage(site: Pick<Site, "folder">, tar: string): Promise<void> {
  const { socket } = placesIn(site.folder);
  await run(find("ctr") ?? "ctr", ["-a", socket, "-n", "k8s.io", "images", "import", tar]);
}

/** Starts the kubelet, the proxy and the name server; they find the API server by themselves. */
export async function startNode(site: Site, coredns: string): Promise<void> {
  const { folder, identity, programs } = site;
  const places = placesIn(folder);
  await startPart(site, {
    name: "kubelet",
    command: path.join(programs, "kubelet"),
    args: flags({
      config: places.kubelet,
      kubeconfig: identity.kubeconfig("kubelet"),
      "root-dir": path.join(folder, "kubelet"),
      "hostname-override": NODE_NAME,
      "node-ip": NODE_ADDRESS,
    }),
  });
  await startPart(site, {
    name: "kube-proxy",
    command: path.join(programs, "kube-proxy"),
    args: flags({
      kubeconfig: identity.kubeconfig("proxy"),
      "hostname-override": NODE_NAME,
      "proxy-mode": "nftables",
      "cluster-cidr": POD_RANGE,
      // The kernel's connection tracking is not ours to tune.
      "conntrack-max-per-core": 0,
      "conntrack-tcp-timeout-established": "0s",
      "conntrack-tcp-timeout-close-wait": "0s",
    }),
  });
  await startPart(site, {
    name: "coredns",
    command: path.join(coredns, "coredns"),
    args: ["-conf", places.names],
  });
}
