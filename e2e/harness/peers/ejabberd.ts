/** Debian's ejabberd on loopback, alone or as a node of a cluster, with accounts in its Mnesia. */

import { readdirSync, readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { freePort } from "../ports.ts";
import type { Running } from "../process.ts";
import { startProcess } from "../process.ts";
import { run } from "../run.ts";
import { waitFor } from "../wait.ts";
import type { Peer, PeerOptions } from "./contract.ts";
import { DOMAIN } from "./contract.ts";
import { CREDENTIALS } from "./keys.ts";
import { libraryFolder, packageVersion, peerPackages } from "./packages.ts";

const SEED = path.join(import.meta.dirname, "zonda_seed.erl");
const READY = "zonda: ready";
/** Millions of contacts take minutes to be loaded. */
const START_MS = 1_200_000;

const MODULES: Readonly<Record<string, string>> = {
  mod_roster: "{versioning: true}",
  mod_offline: "{}",
  mod_carboncopy: "{}",
  mod_privacy: "{}",
  mod_blocking: "{}",
  mod_stream_mgmt: "{}",
  mod_ping: "{}",
  mod_disco: "{}",
};
const MORE_MODULES: Readonly<Record<string, string>> = {
  mod_register: "{ip_access: all}",
  mod_version: "{}",
  mod_time: "{}",
  mod_private: "{}",
  mod_vcard: "{}",
  mod_vcard_xupdate: "{}",
  mod_avatar: "{}",
  mod_last: "{}",
  mod_client_state: "{}",
  mod_adhoc: "{}",
  mod_caps: "{}",
  mod_pubsub: "{plugins: [flat, pep]}",
};

interface Ports {
  readonly plain: number;
  readonly tls: number;
}

const configuration = (options: PeerOptions, ports: Ports, pem: string): string => {
  const modules = {
    ...MODULES,
    ...(options.archive && { mod_mam: "{default: always}" }),
    ...(options.isComplete === true && MORE_MODULES),
  };
  const listener = 'ip: "127.0.0.1", module: ejabberd_c2s, max_stanza_size: 262144, backlog: 4096';
  const starttls = options.isComplete === true;
  return `hosts: [${DOMAIN}]
loglevel: warning
certfiles: ["${pem}"]
listen:
  - {port: ${ports.plain}, ${listener}, starttls: ${starttls}}
  - {port: ${ports.tls}, ${listener}, tls: true}
auth_method: internal
auth_password_format: scram
registration_timeout: infinity
modules:
${Object.entries(modules)
  .map(([name, value]) => `  ${name}: ${value}\n`)
  .join("")}`;
};

/** An Erlang binary with base64 text in it. */
const binary = (bytes: Buffer): string => `<<"${bytes.toString("base64")}">>`;

export type EjabberdNode = Peer & Running;

/** What makes a node one of several; without it there is no Erlang distribution. */
export interface Membership {
  /** "ejabberd1@127.0.0.1". */
  readonly name: string;
  /** Where epmd listens, on loopback. */
  readonly epmdPort: number;
  /** The node whose cluster it joins, with a copy of each table. */
  readonly joins?: string;
}

interface Besides {
  readonly member?: Membership;
  /** An Erlang expression that is evaluated once its accounts are there, before it counts as started. */
  readonly evaluate?: string;
}

/** Writes the accounts down and answers the expression that loads them. */
async function seeding({ folder, accounts }: PeerOptions): Promise<string> {
  const lines: string[] = [];
  for (const { name, contacts } of accounts) lines.push([name, ...contacts].join(" "));
  if (lines.length === 0) return "ok";
  const file = path.join(folder, "accounts.txt");
  await writeFile(file, lines.join("\n"));
  const { salt, iterations, storedKey, serverKey } = CREDENTIALS["SCRAM-SHA-1"];
  const keys = `{${binary(salt)}, ${iterations}, ${binary(storedKey)}, ${binary(serverKey)}}`;
  return `zonda_seed:load("${file}", <<"${DOMAIN}">>, ${keys})`;
}

/** The variables by which Erlang finds itself where it was unpacked. */
export async function erlang(root: string): Promise<{
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
}> {
  const home = path.join(root, "usr/lib/erlang");
  const libraries = await libraryFolder(root);
  const erts = readdirSync(home).find((name) => name.startsWith("erts-"));
  if (erts === undefined) throw new Error(`Cannot find Erlang in ${home}`);
  const folder = path.join(home, erts, "bin");
  const environment = {
    ...{ ROOTDIR: home, BINDIR: folder, EMU: "beam", PROGNAME: "erl" },
    ...{ ERL_LIBS: libraries, LD_LIBRARY_PATH: libraries },
  };
  return { folder, environment };
}

function distribution({ name, epmdPort }: Membership) {
  return {
    args: [
      ...["-name", name, "-setcookie", "zonda", "-start_epmd", "false"],
      ...["-kernel", "inet_dist_use_interface", "{127,0,0,1}"],
    ],
    environment: { ERL_EPMD_PORT: `${epmdPort}` },
  };
}

/** What it does once it runs: joining, as `ejabberdctl join_cluster` does it, or loading its accounts. */
async function beginning(
  options: PeerOptions,
  { member, evaluate = "ok" }: Besides,
): Promise<string> {
  if (member?.joins !== undefined) return `ok = zonda_seed:join('${member.joins}')`;
  return `${await seeding(options)}, ${evaluate}`;
}

/** @returns the file of its configuration */
async function configure(options: PeerOptions, ports: Ports): Promise<string> {
  const { folder } = options;
  const pem = path.join(folder, "both.pem");
  await writeFile(
    pem,
    readFileSync(options.key, "utf8") + readFileSync(options.certificate, "utf8"),
  );
  const file = path.join(folder, "ejabberd.yml");
  await writeFile(file, configuration(options, ports, pem));
  return file;
}

/** @throws Error with the end of its log */
export async function startEjabberd(
  options: PeerOptions,
  besides: Besides = {},
): Promise<EjabberdNode> {
  const root = await peerPackages();
  const { folder } = options;
  const ports = { plain: await freePort(), tls: await freePort() };
  const spool = path.join(folder, "spool");
  await mkdir(spool, { recursive: true });
  const file = await configure(options, ports);
  const { folder: programs, environment } = await erlang(root);
  const compile = `case compile:file("${SEED}", [{outdir, "${folder}"}]) of {ok, _} -> halt(0) end.`;
  const erl = path.join(programs, "erlexec");
  await run(erl, ["-noinput", "-eval", compile], { environment });
  const log = path.join(folder, "output.log");
  await rm(log, { force: true }); // What was said before it was stopped would count.
  const own = besides.member === undefined ? undefined : distribution(besides.member);
  const running = await startProcess({
    name: "ejabberd",
    command: erl,
    args: [
      ...["-noinput", "-pa", folder, "-mnesia", "dir", `"${spool}"`, ...(own?.args ?? [])],
      ...["+K", "true", "+P", "250000", "+Q", "65536"],
      // Schedulers that spin while they wait would be charged for work that they do not do.
      ...["+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none", "-s", "ejabberd"],
      ...["-eval", `${await beginning(options, besides)}, io:format("${READY}~n").`],
    ],
    log,
    environment: {
      ...environment,
      ...own?.environment,
      ...{ EJABBERD_CONFIG_PATH: file, EJABBERD_LOG_PATH: path.join(folder, "ejabberd.log") },
      HOME: folder,
    },
  });
  const ask = async () => readFileSync(log, "utf8").includes(READY) || undefined;
  const patience = { what: "ejabberd", deadlineMs: START_MS, unless: running.failed };
  await waitFor(ask, patience).catch(async (error: unknown) => {
    await running.stop();
    throw error;
  });
  const version = await packageVersion("ejabberd");
  const { plain: plainPort, tls: tlsPort } = ports;
  return { ...running, name: "ejabberd", version, plainPort, tlsPort };
}
