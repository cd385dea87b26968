/** Debian's Prosody on loopback, with accounts in its own store. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { freePort } from "../ports.ts";
import { startProcess } from "../process.ts";
import { run } from "../run.ts";
import { untilListening } from "../wait.ts";
import type { Peer, PeerAccount, PeerOptions } from "./contract.ts";
import { DOMAIN } from "./contract.ts";
import { CREDENTIALS } from "./keys.ts";
import { libraryFolder, packageVersion, peerPackages } from "./packages.ts";

const MODULES = [
  ...["roster", "saslauth", "tls", "disco", "carbons", "blocklist", "smacks", "ping"],
  ...["offline", "presence", "message", "iq", "c2s"],
];
const MORE_MODULES = [
  ...[
    "register_ibr",
    "user_account_management",
    "version",
    "time",
    "private",
    "vcard_legacy",
    "uptime",
  ],
  ...["csi", "csi_simple", "lastactivity", "pep", "bookmarks", "adhoc"],
];

interface Ports {
  readonly plain: number;
  readonly tls: number;
}

const configuration = (options: PeerOptions, { plain, tls }: Ports): string => {
  const archive = options.archive ? ["mam"] : [];
  const modules = [...MODULES, ...archive, ...(options.isComplete === true ? MORE_MODULES : [])];
  return `run_as_root = true
data_path = "${options.folder}/data"
certificates = "${options.folder}/certificates"
log = { warn = "${options.folder}/prosody.log" }
network_backend = "epoll"
network_settings = { tcp_backlog = 4096 }
interfaces = { "127.0.0.1" }
modules_enabled = { ${modules.map((name) => `"${name}"`).join(", ")} }
modules_disabled = { "s2s" }
c2s_ports = { ${plain} }
c2s_direct_tls_ports = { ${tls} }
c2s_require_encryption = false
c2s_stanza_size_limit = 262144
allow_registration = true
allow_unencrypted_plain_auth = true
authentication = "internal_hashed"
storage = "internal"
default_archive_policy = true
ssl = { certificate = "${options.certificate}", key = "${options.key}" }
VirtualHost "${DOMAIN}"
`;
};

const hex = (bytes: Buffer): string => bytes.toString("hex");

const accountFile = ({ salt, iterations, storedKey, serverKey }: typeof KEYS): string => `return {
	["salt"] = "${salt.toString()}";
	["iteration_count"] = ${iterations};
	["stored_key"] = "${hex(storedKey)}";
	["server_key"] = "${hex(serverKey)}";
};
`;
const KEYS = CREDENTIALS["SCRAM-SHA-1"];

export const rosterFile = ({ contacts }: PeerAccount): string => {
  const items = contacts.map(
    (name) => `	["${name}@${DOMAIN}"] = {
		["subscription"] = "both"; ["groups"] = { ["friends"] = true; }; ["name"] = "${name}";
	};\n`,
  );
  return `return {\n	[false] = { ["version"] = 1; ["pending"] = {}; };\n${items.join("")}};\n`;
};

/** A file for each roster, as its storage "internal" writes them; and for each account. */
async function store({ folder, accounts }: PeerOptions): Promise<void> {
  const place = (kind: string) => path.join(folder, "data", DOMAIN, kind);
  for (const kind of ["accounts", "roster"]) await mkdir(place(kind), { recursive: true });
  const credentials = accountFile(KEYS);
  for (const account of accounts) {
    await writeFile(path.join(place("accounts"), `${account.name}.dat`), credentials);
    if (account.contacts.length === 0) continue;
    await writeFile(path.join(place("roster"), `${account.name}.dat`), rosterFile(account));
  }
}

/** Debian's start script, told where the files are here. */
async function startScript(root: string, folder: string): Promise<string> {
  const script = await readFile(path.join(root, "usr/bin/prosody"), "utf8");
  const file = path.join(folder, "prosody.lua");
  const home = path.join(root, "usr/lib/prosody");
  const moved = script
    .replace(/^CFG_SOURCEDIR=.*/m, `CFG_SOURCEDIR='${home}'`)
    .replace(/^CFG_PLUGINDIR=.*/m, `CFG_PLUGINDIR='${home}/modules/'`);
  await writeFile(file, moved);
  return file;
}

/** Where its Lua finds what was unpacked. */
async function lua(root: string) {
  const libraries = await libraryFolder(root);
  const modules = path.join(root, "usr/share/lua/5.4");
  const own = path.join(root, "usr/lib/prosody");
  return {
    command: path.join(root, "usr/bin/lua5.4"),
    environment: {
      LUA_PATH: `${modules}/?.lua;${modules}/?/init.lua;${own}/?.lua`,
      LUA_CPATH: `${libraries}/lua/5.4/?.so;${own}/?.so`,
      LD_LIBRARY_PATH: libraries,
    },
  };
}

/** Runs a script that may load Prosody's own modules. @returns what it printed */
export async function runLua(script: string, args: readonly string[]): Promise<string> {
  const { command, environment } = await lua(await peerPackages());
  return run(command, [script, ...args], { environment });
}

/** @throws Error with the end of its log */
export async function startProsody(options: PeerOptions): Promise<Peer> {
  const root = await peerPackages();
  const { folder } = options;
  const ports = { plain: await freePort(), tls: await freePort() };
  await mkdir(path.join(folder, "certificates"), { recursive: true });
  await store(options);
  const file = path.join(folder, "prosody.cfg.lua");
  await writeFile(file, configuration(options, ports));
  const running = await startProcess({
    ...(await lua(root)),
    name: "prosody",
    args: [await startScript(root, folder), "--config", file, "-F"],
    log: path.join(folder, "output.log"),
  });
  await untilListening(ports.tls, { what: "prosody", deadlineMs: 60_000, unless: running.failed });
  const { pid, failed, stop } = running;
  const version = await packageVersion("prosody");
  return {
    name: "prosody",
    version,
    pid,
    plainPort: ports.plain,
    tlsPort: ports.tls,
    failed,
    stop,
  };
}
