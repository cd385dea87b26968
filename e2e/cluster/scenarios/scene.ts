/** What the scenarios share: the Kubernetes, and the people who chat on it. */
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Client, type Library } from "../../clients/client.ts";
import type { ClientConfig } from "../../clients/contract.ts";
import type { Kubernetes } from "../../harness/environment.ts";
import { addUser, CLUSTER, DOMAIN, NAMESPACE, servingPods } from "../chat-cluster.ts";

const PASSWORD = "correct horse battery staple";
export const C2S_PORT = 5222;
export const DIRECT_TLS_PORT = 5223;

type Hosts = ClientConfig["hosts"];

/** The door of one pod, by its own address. */
export const podDoor = (pod: { readonly address: string } | undefined, port = C2S_PORT) => ({
  host: pod?.address ?? "",
  port,
});

export class Scene implements AsyncDisposable {
  readonly kube: Kubernetes;
  readonly #clients: Client[] = [];
  readonly #users = new Set<string>();
  #authority: string | undefined;

  constructor(kube: Kubernetes) {
    this.kube = kube;
  }

  /** Makes an account that nobody has logged in to yet. */
  async account(name: string): Promise<string> {
    if (!this.#users.has(name)) await addUser(this.kube, name, PASSWORD);
    this.#users.add(name);
    return `${name}@${DOMAIN}`;
  }

  /** Logs in where it is told to; reconnections go through the addresses in turn. */
  async loginAt(hosts: Hosts, library: Library, name: string): Promise<Client> {
    const client = await this.start(library, name, hosts);
    await client.untilOnline();
    return client;
  }

  /** Logs in through the Service, as people do: reconnections end up on any node. */
  async login(library: Library, name: string, port = C2S_PORT): Promise<Client> {
    return this.loginAt([{ host: await this.serviceAddress(), port }], library, name);
  }

  /** Starts a client, and waits for nothing. */
  async start(
    library: Library,
    name: string,
    hosts: Hosts,
    more: Partial<ClientConfig> = {},
  ): Promise<Client> {
    const address = await this.account(name);
    const authority = await this.authority();
    // slixmpp has no channel binding for TLS 1.3.
    const config = {
      address,
      password: PASSWORD,
      hosts,
      authority,
      tlsMax: "1.2" as const,
      ...more,
    };
    const client = await Client.start(library, config, this.kube.enter);
    this.#clients.push(client);
    return client;
  }

  async serviceAddress(): Promise<string> {
    const path = ["-o", "jsonpath={.spec.clusterIP}"];
    return this.kube.kubectl(["get", "service", `${CLUSTER}-c2s`, "-n", NAMESPACE, ...path]);
  }

  /** PEM file of the authority that the operator made for the domains. */
  async authority(): Promise<string> {
    if (this.#authority !== undefined) return this.#authority;
    const path64 = ["-o", "jsonpath={.data.ca\\.crt}"];
    const encoded = await this.kube.kubectl([
      "get",
      "secret",
      `${CLUSTER}-tls`,
      "-n",
      NAMESPACE,
      ...path64,
    ]);
    const folder = await mkdtemp(path.join(tmpdir(), "zonda-e2e-"));
    this.#authority = path.join(folder, "authority.crt");
    await writeFile(this.#authority, Buffer.from(encoded, "base64"));
    return this.#authority;
  }

  async pods(): Promise<readonly { readonly name: string; readonly address: string }[]> {
    return servingPods(this.kube);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.map((client) => client[Symbol.asyncDispose]()));
  }
}
