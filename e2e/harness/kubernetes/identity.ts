/** Who is who in a test cluster: its authority, certificates, tokens and kubeconfig files. */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { stringify } from "yaml";
import { issue, makeAuthority } from "../../../node/config/certificates.ts";
import { API_SERVICE_ADDRESS, NODE_ADDRESS } from "./namespace.ts";

export const NODE_NAME = "node-1";
export const API_PORT = 6443;

/** The parts that log in to the API server, by user name and groups. */
const USERS = {
  admin: ["admin", "system:masters"],
  "controller-manager": ["system:kube-controller-manager", ""],
  scheduler: ["system:kube-scheduler", ""],
  kubelet: [`system:node:${NODE_NAME}`, "system:nodes"],
  proxy: ["system:kube-proxy", ""],
} as const;

export type User = keyof typeof USERS;

export interface Identity {
  /** Path of one of the files made here. */
  readonly file: (name: string) => string;
  /** Path of the kubeconfig of one part, for use inside the namespace. */
  readonly kubeconfig: (user: User) => string;
  /** Writes the administrator's kubeconfig for another way to the server. @returns its path */
  readonly adminAt: (server: string) => Promise<string>;
}

const API_NAMES = [
  "localhost",
  "127.0.0.1",
  NODE_ADDRESS,
  API_SERVICE_ADDRESS,
  ...["", ".default", ".default.svc", ".default.svc.cluster.local"].map(
    (suffix) => `kubernetes${suffix}`,
  ),
];

const kubeconfigText = (server: string, authority: string, token: string): string =>
  stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "zonda",
    clusters: [
      {
        name: "zonda",
        cluster: {
          server,
          "certificate-authority-data": Buffer.from(authority).toString("base64"),
        },
      },
    ],
    users: [{ name: "zonda", user: { token } }],
    contexts: [{ name: "zonda", context: { cluster: "zonda", user: "zonda" } }],
  });

/** Makes all of it in `folder`. */
export async function makeIdentity(folder: string): Promise<Identity> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = (name: string) => path.join(folder, name);
  const write = (name: string, text: string) => writeFile(file(name), text, { mode: 0o600 });
  const authority = await makeAuthority("zonda test cluster");
  const server = await issue(authority, { commonName: "kube-apiserver", names: API_NAMES });
  const accounts = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  const tokens = Object.fromEntries(
    Object.keys(USERS).map((user) => [user, randomBytes(16).toString("hex")]),
  ) as Record<User, string>;
  const rows = Object.entries(USERS).map(
    ([user, [name, groups]]) => `${tokens[user as User]},${name},${user},"${groups}"`,
  );
  await write("authority.crt", authority.certificate);
  await write("server.crt", server.certificate);
  await write("server.key", server.key);
  await write("accounts.pub", accounts.publicKey);
  await write("accounts.key", accounts.privateKey);
  await write("tokens.csv", `${rows.join("\n")}\n`);
  const inside = `https://${NODE_ADDRESS}:${API_PORT}`;
  for (const user of Object.keys(USERS) as User[]) {
    await write(`${user}.yaml`, kubeconfigText(inside, authority.certificate, tokens[user]));
  }
  return {
    file,
    kubeconfig: (user) => file(`${user}.yaml`),
    adminAt: async (address) => {
      await write("kubeconfig.yaml", kubeconfigText(address, authority.certificate, tokens.admin));
      return file("kubeconfig.yaml");
    },
  };
}
