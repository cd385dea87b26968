/** The programs of Kubernetes, built from source and kept in the cache. */
import { goBuild } from "../go-build.ts";
import type { Tool } from "../tools.ts";

const VERSION = "1.36.3";
const COMMANDS = [
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
  "kube-proxy",
  "kubectl",
];

/** Without these, servers and nodes say v0.0.0-master, and charts refuse them. */
const STAMPS = Object.entries({
  gitVersion: `v${VERSION}`,
  gitMajor: VERSION.split(".")[0],
  gitMinor: VERSION.split(".")[1],
}).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);

/** @returns the folder with kube-apiserver, kubelet, kubectl and their like */
export const kubernetesPrograms = (): Promise<string> =>
  goBuild({
    name: "kubernetes",
    about: `Kubernetes ${VERSION} (about 10 minutes the first time)`,
    packages: COMMANDS.map((command) => `k8s.io/kubernetes/cmd/${command}`),
    stamps: STAMPS,
  });

/** @returns the folder with coredns */
export const corednsProgram = (): Promise<string> =>
  goBuild({
    name: "coredns",
    about: "CoreDNS 1.12.4 (about 4 minutes the first time)",
    packages: ["github.com/coredns/coredns"],
  });

/** @returns the folder with helm */
export const helmProgram = (): Promise<string> =>
  goBuild({
    name: "helm",
    about: "Helm 3.20.2 (about 4 minutes the first time)",
    packages: ["helm.sh/helm/v3/cmd/helm"],
  });

const debian = (command: string, name: string): Tool => ({
  command,
  debian: name,
  advice: `install it (Debian: apt-get install ${name})`,
});

/** Programs of the machine that a node needs. */
export const NODE_TOOLS: readonly Tool[] = [
  debian("containerd", "containerd"),
  debian("runc", "runc"),
  debian("nft", "nftables"),
  debian("iptables", "iptables"),
  debian("conntrack", "conntrack"),
  debian("ip", "iproute2"),
  debian("/usr/lib/cni/ptp", "containernetworking-plugins"),
];
