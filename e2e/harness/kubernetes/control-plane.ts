/** The API server, the controllers and the scheduler. */
import path from "node:path";
import type { Running } from "../process.ts";
import { run } from "../run.ts";
import { waitFor } from "../wait.ts";
import { API_PORT } from "./identity.ts";
import { NODE_ADDRESS, POD_RANGE, SERVICE_RANGE } from "./namespace.ts";
import type { Site } from "./parts.ts";
import { flags, startPart } from "./parts.ts";

/** Starts the API server over `etcd` (an endpoint) and resolves once it is ready. */
export async function startApiServer(site: Site, etcd: string): Promise<Running> {
  const { file, kubeconfig } = site.identity;
  const running = await startPart(site, {
    name: "kube-apiserver",
    command: path.join(site.programs, "kube-apiserver"),
    args: flags({
      "etcd-servers": etcd,
      "bind-address": NODE_ADDRESS,
      "advertise-address": NODE_ADDRESS,
      "secure-port": API_PORT,
      "service-cluster-ip-range": SERVICE_RANGE,
      "endpoint-reconciler-type": "lease",
      "tls-cert-file": file("server.crt"),
      "tls-private-key-file": file("server.key"),
      "client-ca-file": file("authority.crt"),
      "token-auth-file": file("tokens.csv"),
      "authorization-mode": "Node,RBAC",
      "enable-admission-plugins": "NodeRestriction",
      "service-account-issuer": "https://kubernetes.default.svc",
      "service-account-key-file": file("accounts.pub"),
      "service-account-signing-key-file": file("accounts.key"),
      "kubelet-client-certificate": file("server.crt"),
      "kubelet-client-key": file("server.key"),
      // It would otherwise look up the node's name, which no name server knows.
      "kubelet-preferred-address-types": "InternalIP",
      "allow-privileged": true,
    }),
  });
  const kubectl = path.join(site.programs, "kubectl");
  const args = ["--kubeconfig", kubeconfig("admin"), "get", "--raw", "/readyz"];
  const ask = async () => (await run(kubectl, args, { netns: site.name })) === "ok" || undefined;
  const patience = { what: "kube-apiserver", deadlineMs: 90_000, everyMs: 250 };
  await waitFor(ask, { ...patience, unless: running.failed });
  return running;
}

export const startControllers = (site: Site): Promise<Running> =>
  startPart(site, {
    name: "kube-controller-manager",
    command: path.join(site.programs, "kube-controller-manager"),
    args: flags({
      kubeconfig: site.identity.kubeconfig("controller-manager"),
      "service-account-private-key-file": site.identity.file("accounts.key"),
      "root-ca-file": site.identity.file("authority.crt"),
      "use-service-account-credentials": true,
      "allocate-node-cidrs": true,
      "cluster-cidr": POD_RANGE,
      "service-cluster-ip-range": SERVICE_RANGE,
      "leader-elect": false,
      "bind-address": "127.0.0.1",
    }),
  });

export const startScheduler = (site: Site): Promise<Running> =>
  startPart(site, {
    name: "kube-scheduler",
    command: path.join(site.programs, "kube-scheduler"),
    args: flags({
      kubeconfig: site.identity.kubeconfig("scheduler"),
      "leader-elect": false,
      "bind-address": "127.0.0.1",
    }),
  });
