/** The files a local cluster keeps in its folder, and what it reads of the nodes' configuration. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { parse, stringify } from "yaml";
import { issue, makeAuthority } from "../../node/config/certificates.ts";
import type { Shared } from "./node-settings.ts";
import { storeSettings } from "./node-settings.ts";

export interface OwnConfig {
  /** The whole file. */
  readonly tree: Readonly<Record<string, unknown>>;
  readonly domains: readonly string[];
  /** It names a certificate for the domains, so none has to be made. */
  readonly hasCertificate: boolean;
}

/** Reads what a cluster must know of a configuration file. The nodes check it themselves. */
export async function readOwn(file: string): Promise<OwnConfig> {
  const tree = ((parse(await readFile(file, "utf8")) as unknown) ?? {}) as Record<string, unknown>;
  const domains = Array.isArray(tree.domains) ? tree.domains.map(String) : ["localhost"];
  const tls = tree.tls as { certificate?: string } | null | undefined;
  return { tree, domains, hasCertificate: Boolean(tls?.certificate) };
}

/** Writes one file of the cluster's folder. @returns its path */
export async function save(folder: string, name: string, text: string): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, text, { mode: 0o600 });
  return file;
}

/** A certificate for all domains that every node shares: clients trust one authority. */
export async function makeDomainCertificate(folder: string, domains: readonly string[]) {
  const authority = await makeAuthority("zonda test domains");
  const names = [...domains, "127.0.0.1"];
  const pair = await issue(authority, { commonName: domains[0] ?? "localhost", names });
  return {
    authority: await save(folder, "authority.crt", authority.certificate),
    certificate: await save(folder, "domains.crt", pair.certificate),
    key: await save(folder, "domains.key", pair.key),
  };
}

type Tree = Record<string, unknown>;

/** A tree with the dotted settings put into it; the tree given stays as it is. */
export function withSettings(
  tree: Readonly<Tree>,
  settings: Readonly<Record<string, unknown>>,
): Tree {
  const result = structuredClone(tree) as Tree;
  for (const [name, value] of Object.entries(settings)) {
    const keys = name.split(".");
    let place = result;
    for (const key of keys.slice(0, -1)) {
      if (typeof place[key] !== "object" || place[key] === null) place[key] = {};
      place = place[key] as Tree;
    }
    place[keys.at(-1) as string] = value;
  }
  return result;
}

/** A configuration for the administrator's commands: the cluster's own, and where its data is. */
export function saveAdminConfig(folder: string, { tree }: OwnConfig, shared: Shared) {
  return save(folder, "admin.yaml", stringify(withSettings(tree, storeSettings(shared))));
}
