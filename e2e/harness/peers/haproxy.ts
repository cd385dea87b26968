/** Debian's HAProxy on loopback, told what the operator tells it beside a node. */
import { copyFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { proxyFiles } from "../../../operator/build/proxy.ts";
import { freePort } from "../ports.ts";
import type { Running } from "../process.ts";
import { startProcess } from "../process.ts";
import { untilListening } from "../wait.ts";
import { libraryFolder, peerPackages } from "./packages.ts";

export interface ProxyOptions {
  /** For its configuration and log; made by the caller. */
  readonly folder: string;
  /** PEM files. */
  readonly certificate: string;
  readonly key: string;
  /** Of domains that have their own: a file that ends in .crt, beside it one in .key. */
  readonly domains?: Readonly<Record<string, string>>;
  /** The node's `c2s.proxied.port`. */
  readonly to: number;
}

export interface HaproxyProcess extends Running {
  /** TLS from the first byte. */
  readonly tlsPort: number;
}

/** @throws Error with the end of its log */
export async function startHaproxy({
  folder,
  certificate,
  key,
  domains = {},
  to,
}: ProxyOptions): Promise<HaproxyProcess> {
  const root = await peerPackages();
  const tlsPort = await freePort();
  await copyFile(certificate, path.join(folder, "proxy.crt"));
  await copyFile(key, path.join(folder, "proxy.key"));
  const files = proxyFiles({
    folder,
    listen: `127.0.0.1:${tlsPort}`,
    to,
    connectionsMax: 19_000,
    certificate: path.join(folder, "proxy.crt"),
    domains,
    lookSeconds: 1,
  });
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, name), text);
  const running = await startProcess({
    name: "haproxy",
    command: path.join(root, "usr/sbin/haproxy"),
    // One process: in a pod there is a master above it, with 3 MiB, which a comparison would not see.
    args: ["-db", "-f", path.join(folder, "haproxy.cfg")],
    log: path.join(folder, "haproxy.log"),
    environment: { LD_LIBRARY_PATH: await libraryFolder(root) },
  });
  await untilListening(tlsPort, { what: "haproxy", deadlineMs: 10_000, unless: running.failed });
  return { ...running, tlsPort };
}
