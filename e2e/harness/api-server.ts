/** etcd and kube-apiserver on loopback, nothing else: no kubelet, no controllers, no scheduler. For
 * tests of what talks to the API. Objects are stored, defaulted, validated and watched as ever. */
import { generateKeyPairSync } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { Agent, request } from "undici";
import { startEtcd } from "./etcd.ts";
import { kubernetesPrograms } from "./kubernetes/binaries.ts";
import { freePort } from "./ports.ts";
import { startProcess } from "./process.ts";
import { scratch } from "./scratch.ts";
import { waitFor } from "./wait.ts";

export interface ApiServer {
  /** "https://127.0.0.1:PORT" */
  readonly server: string;
  /** Of a member of system:masters. */
  readonly token: string;
  /** File with the certificate authority, PEM. */
  readonly ca: string;
  /** Ends both servers and removes their data. */
  readonly stop: () => Promise<void>;
}

/** Any fixed word does: the server listens on loopback and lives as long as the test. */
const TOKEN = "zonda-test-administrator";

/** Starts both and resolves once the API server is ready. @throws Error with the end of its log */
export async function startApiServer(): Promise<ApiServer> {
  const program = path.join(await kubernetesPrograms(), "kube-apiserver");
  const etcd = await startEtcd();
  const { folder, remove } = await scratch("kube-apiserver");
  const port = await freePort();
  const files = await writeFiles(folder);
  const running = await startProcess({
    name: "kube-apiserver",
    command: program,
    args: [
      `--etcd-servers=${etcd.endpoint}`,
      "--bind-address=127.0.0.1",
      "--advertise-address=127.0.0.1",
      `--secure-port=${port}`,
      `--cert-dir=${folder}`, // It writes a certificate of its own there.
      "--service-cluster-ip-range=10.96.0.0/16",
      "--endpoint-reconciler-type=none",
      `--token-auth-file=${files.tokens}`,
      "--authorization-mode=RBAC",
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${files.publicKey}`,
      `--service-account-signing-key-file=${files.privateKey}`,
      // Without its controller no service account would ever be there for a pod.
      "--disable-admission-plugins=ServiceAccount",
      "--allow-privileged=true",
    ],
    log: path.join(folder, "kube-apiserver.log"),
  });
  const stop = async () => {
    await running.stop();
    await etcd.stop();
    await remove();
  };
  const server = `https://127.0.0.1:${port}`;
  const ca = path.join(folder, "apiserver.crt");
  try {
    const ask = async () => (await isReady(server, await readFile(ca, "utf8"))) || undefined;
    const patience = { what: "kube-apiserver", deadlineMs: 90_000, everyMs: 250 };
    await waitFor(ask, { ...patience, unless: running.failed });
    return { server, token: TOKEN, ca, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function writeFiles(folder: string) {
  const { publicKey, privateKey } = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  const write = async (name: string, text: string) => {
    const file = path.join(folder, name);
    await writeFile(file, text, { mode: 0o600 });
    return file;
  };
  return {
    tokens: await write("tokens.csv", `${TOKEN},administrator,administrator,system:masters\n`),
    publicKey: await write("accounts.pub", publicKey),
    privateKey: await write("accounts.key", privateKey),
  };
}

async function isReady(server: string, ca: string): Promise<boolean> {
  const dispatcher = new Agent({ allowH2: false, connect: { ca } });
  try {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const signal = AbortSignal.timeout(5_000);
    const { statusCode, body } = await request(`${server}/readyz`, { dispatcher, headers, signal });
    await body.dump();
    return statusCode === 200;
  } finally {
    await dispatcher.destroy();
  }
}
