/** The servers that are compared, each started with the same accounts and certificate. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { issue, makeAuthority } from "../../node/config/certificates.ts";
import { MODULES } from "../../node/modules/index.ts";
import { software } from "../../node/software.ts";
import { openSqliteStores } from "../../node/stores/sqlite/sqlite.ts";
import { untilStopped } from "../harness/lifetime.ts";
import { startNodeProcess } from "../harness/node-process.ts";
import type { Peer, PeerOptions } from "../harness/peers/contract.ts";
import { DOMAIN } from "../harness/peers/contract.ts";
import { startEjabberd } from "../harness/peers/ejabberd.ts";
import { startHaproxy } from "../harness/peers/haproxy.ts";
import { CREDENTIALS } from "../harness/peers/keys.ts";
import { libraryFolder, peerPackages } from "../harness/peers/packages.ts";
import { startProsody } from "../harness/peers/prosody.ts";
import { freePort } from "../harness/ports.ts";
import { startProcess } from "../harness/process.ts";
import { untilListening } from "../harness/wait.ts";

export const SERVERS = {
  floor: startFloor,
  zonda: (options) => startZonda(options),
  proxied: startProxied,
  ejabberd: startEjabberd,
  prosody: startProsody,
} satisfies Record<string, (options: PeerOptions) => Promise<Peer>>;

export type ServerName = keyof typeof SERVERS;

interface Abilities {
  readonly archive: boolean;
  readonly resumption: boolean;
  readonly tokens: boolean;
}

/** Our archive of messages (XEP-0313), where this version has one. */
const archive = MODULES.find((module) => module.implements.some(({ xep }) => xep === 313));

/** What each can do of what is measured; the peers' Debian versions have neither SASL2 nor FAST. */
export const ABILITIES: Readonly<Record<ServerName, Abilities>> = {
  floor: { archive: false, resumption: false, tokens: false },
  zonda: { archive: archive !== undefined, resumption: true, tokens: true },
  proxied: { archive: archive !== undefined, resumption: true, tokens: true },
  ejabberd: { archive: true, resumption: true, tokens: false },
  prosody: { archive: true, resumption: true, tokens: false },
};

const NODE_CONFIG = path.join(import.meta.dirname, "../load/node.yaml");
const WRITES_AT_ONCE = 500;

/** A certificate for the domain. @returns the paths of its files */
export async function makeCertificate(
  folder: string,
): Promise<{ readonly certificate: string; readonly key: string }> {
  const authority = await makeAuthority("bench");
  const pair = await issue(authority, { commonName: DOMAIN, names: [DOMAIN] });
  const certificate = path.join(folder, "certificate.pem");
  const key = path.join(folder, "key.pem");
  await writeFile(certificate, pair.certificate);
  await writeFile(key, pair.key);
  return { certificate, key };
}

async function storeAccounts(directory: string, { accounts }: PeerOptions): Promise<void> {
  await using stores = await openSqliteStores({ directory });
  let writes: Promise<unknown>[] = [];
  for (const { name, contacts } of accounts) {
    const user = `${name}@${DOMAIN}`;
    writes.push(stores.accounts.create(user, CREDENTIALS));
    for (const contact of contacts) {
      const item = { name: contact, groups: ["friends"], to: true, from: true, listed: true };
      writes.push(stores.rosters.update(user, `${contact}@${DOMAIN}`, item));
    }
    if (writes.length < WRITES_AT_ONCE) continue;
    await Promise.all(writes);
    writes = [];
  }
  await Promise.all(writes);
}

/** Turned off for every figure but the archive's own, as it is in the peers. */
const archiveSets = ({ archive: isOn }: PeerOptions): readonly string[] =>
  archive !== undefined && "enabled" in archive.options
    ? [`modules.${archive.name}.enabled=${isOn}`]
    : [];

/** What the image tells jemalloc. */
async function allocatorSettings(): Promise<string> {
  const file = path.join(import.meta.dirname, "../../node/Containerfile");
  const found = /^ENV MALLOC_CONF=(\S+)$/m.exec(await readFile(file, "utf8"));
  if (found?.[1] === undefined) throw new Error(`Cannot find MALLOC_CONF in ${file}`);
  return found[1];
}

async function startZonda(options: PeerOptions, more: readonly string[] = []): Promise<Peer> {
  const data = path.join(options.folder, "data");
  await mkdir(data, { recursive: true });
  await storeAccounts(data, options);
  const tlsPort = await freePort();
  const libraries = await libraryFolder(await peerPackages());
  const node = await startNodeProcess({
    config: NODE_CONFIG,
    // As in its image.
    environment: {
      LD_PRELOAD: path.join(libraries, "libjemalloc.so.2"),
      MALLOC_CONF: await allocatorSettings(),
    },
    sets: [
      `data=${data}`,
      `c2s.port=${await freePort()}`,
      `c2s.directTls.port=${tlsPort}`,
      `tls.certificate=${options.certificate}`,
      `tls.key=${options.key}`,
      ...archiveSets(options),
      ...more,
    ],
  });
  return {
    name: "zonda",
    version: software.version,
    pid: node.pid,
    plainPort: node.c2s,
    tlsPort,
    failed: new Promise(() => undefined),
    stop: untilStopped(async () => {
      node.kill("SIGKILL"); // Its data goes with it.
      await node.ended;
    }),
  };
}

/** Zonda behind HAProxy, which ends the clients' TLS. */
async function startProxied(options: PeerOptions): Promise<Peer> {
  const to = await freePort();
  const zonda = await startZonda(options, [`c2s.proxied.port=${to}`]);
  const proxy = await startHaproxy({ ...options, to });
  return {
    ...zonda,
    name: "proxied",
    besides: [proxy.pid],
    tlsPort: proxy.tlsPort,
    failed: Promise.race([zonda.failed, proxy.failed]),
    stop: async () => {
      await proxy.stop();
      await zonda.stop();
    },
  };
}

async function startFloor({ folder, certificate, key }: PeerOptions): Promise<Peer> {
  const [plainPort, tlsPort] = [await freePort(), await freePort()];
  const running = await startProcess({
    name: "floor",
    command: process.execPath,
    args: [
      path.join(import.meta.dirname, "floor.ts"),
      `${plainPort}`,
      `${tlsPort}`,
      certificate,
      key,
    ],
    log: path.join(folder, "floor.log"),
  });
  await untilListening(tlsPort, { what: "the floor", deadlineMs: 10_000, unless: running.failed });
  const { pid, failed, stop } = running;
  return {
    name: "floor",
    version: process.version.slice(1),
    pid,
    plainPort,
    tlsPort,
    failed,
    stop,
  };
}
