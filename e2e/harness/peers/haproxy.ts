/** Debian's HAProxy on loopback, which ends the clients' TLS and tells a node where they come from. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
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
  /** The node's `c2s.proxied.port`. */
  readonly to: number;
}

export interface HaproxyProcess extends Running {
  /** TLS from the first byte. */
  readonly tlsPort: number;
}

/** As docs/web-and-domains.md shows it, on our ports. A connection needs two descriptors. */
const configuration = (certificate: string, tlsPort: number, to: number): string => `global
  nbthread 1
  maxconn 9500
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend clients
  bind 127.0.0.1:${tlsPort} ssl crt ${certificate} alpn xmpp-client
  default_backend node
backend node
  server node 127.0.0.1:${to} send-proxy-v2-ssl
`;

/** @throws Error with the end of its log */
export async function startHaproxy({
  folder,
  certificate,
  key,
  to,
}: ProxyOptions): Promise<HaproxyProcess> {
  const root = await peerPackages();
  const tlsPort = await freePort();
  const pair = path.join(folder, "haproxy.pem");
  await writeFile(pair, `${await readFile(certificate, "utf8")}\n${await readFile(key, "utf8")}`);
  const file = path.join(folder, "haproxy.cfg");
  await writeFile(file, configuration(pair, tlsPort, to));
  const running = await startProcess({
    name: "haproxy",
    command: path.join(root, "usr/sbin/haproxy"),
    args: ["-db", "-f", file],
    log: path.join(folder, "haproxy.log"),
    environment: { LD_LIBRARY_PATH: await libraryFolder(root) },
  });
  await untilListening(tlsPort, { what: "haproxy", deadlineMs: 10_000, unless: running.failed });
  return { ...running, tlsPort };
}
