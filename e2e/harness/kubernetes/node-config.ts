/** The files that a node's parts read: containerd, its network, the kubelet, the name server. */
import path from "node:path";
import { stringify } from "yaml";
import type { Identity } from "./identity.ts";
import { NODE_ADDRESS } from "./namespace.ts";

export interface NodeSettings {
  /** The run's folder. */
  readonly folder: string;
  /** The run's name; also the root of its cgroups. */
  readonly name: string;
  /** Reference of the image that holds a pod's namespaces open. */
  readonly sandboxImage: string;
  readonly identity: Pick<Identity, "file" | "kubeconfig">;
}

/** Where things are in the run's folder. */
export const placesIn = (folder: string) => ({
  socket: path.join(folder, "containerd.sock"),
  containerd: path.join(folder, "containerd.toml"),
  network: path.join(folder, "cni", "10-zonda.conflist"),
  kubelet: path.join(folder, "kubelet.yaml"),
  names: path.join(folder, "Corefile"),
  resolver: path.join(folder, "resolv.conf"),
});

const containerdToml = ({ folder, sandboxImage }: NodeSettings): string => `version = 2
root = "${folder}/containerd"
state = "${folder}/containerd-state"
oom_score = 0
[grpc]
  address = "${placesIn(folder).socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${folder}/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${sandboxImage}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
      Root = "${folder}/runc"
`;

/**
 * Every pod has its own wire to the node. On a shared bridge, answers of pods to each other would
 * go past the address translation of services unless the kernel has br_netfilter.
 */
const network = ({ folder, name }: NodeSettings): string =>
  JSON.stringify({
    cniVersion: "1.0.0",
    name,
    plugins: [
      {
        type: "ptp",
        ipMasq: false,
        ipam: {
          type: "host-local",
          dataDir: path.join(folder, "addresses"),
          ranges: [[{ subnet: "10.244.0.0/24" }]],
          routes: [{ dst: "0.0.0.0/0" }],
        },
      },
      { type: "portmap", capabilities: { portMappings: true }, snat: true },
    ],
  });

const kubelet = ({ folder, name, identity }: NodeSettings): string =>
  stringify({
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: false },
      x509: { clientCAFile: identity.file("authority.crt") },
    },
    authorization: { mode: "AlwaysAllow" }, // For whoever the authority signed: the API server.
    address: NODE_ADDRESS,
    containerRuntimeEndpoint: `unix://${placesIn(folder).socket}`,
    podLogsDir: path.join(folder, "pod-logs"),
    clusterDomain: "cluster.local",
    clusterDNS: [NODE_ADDRESS],
    resolvConf: placesIn(folder).resolver,
    cgroupDriver: "cgroupfs",
    cgroupRoot: `/${name}`,
    failCgroupV1: false,
    failSwapOn: false,
    oomScoreAdj: 0,
    enforceNodeAllocatable: [],
    // The disk of a developer's machine may be nearly full; that is no reason to evict.
    evictionHard: {
      "memory.available": "50Mi",
      "nodefs.available": "0%",
      "imagefs.available": "0%",
    },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    shutdownGracePeriod: "0s",
    registerWithTaints: [],
  });

/** Answers change at once when pods come and go: tests do not wait for caches. */
const names = ({ identity }: NodeSettings): string => `.:53 {
  bind ${NODE_ADDRESS}
  errors
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig ${identity.kubeconfig("admin")} zonda
    pods insecure
    ttl 0
  }
}
`;

/** All files of a node, by path. */
export function nodeFiles(settings: NodeSettings): Readonly<Record<string, string>> {
  const places = placesIn(settings.folder);
  return {
    [places.containerd]: containerdToml(settings),
    [places.network]: network(settings),
    [places.kubelet]: kubelet(settings),
    [places.names]: names(settings),
    [places.resolver]: `nameserver ${NODE_ADDRESS}\n`,
  };
}
