/**
 * What would end the start of a node, found without starting it: files that it could not use, modules
 * that do not fit together or refuse their options. Nothing is connected to, listened on or left behind.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Clock } from "./base/clock.ts";
import { systemClock } from "./base/clock.ts";
import { silentLog } from "./base/log.ts";
import { systemRandom as random } from "./base/random.ts";
import type { Configuration } from "./config/schema.ts";
import { readDomainCertificate } from "./domain-certificate.ts";
import { readEngineFiles } from "./engines.ts";
import { externalIn, modulesWith } from "./external-modules.ts";
import type { UploadOptions } from "./http/upload/open.ts";
import { openUploads } from "./http/upload/open.ts";
import { openRouter } from "./modules/open-router.ts";
import { openMemoryRoutes } from "./routes/memory.ts";
import { software } from "./software.ts";
import { openSqliteStores } from "./stores/sqlite/sqlite.ts";
import { TlsContexts } from "./stream/tls.ts";

/** No timer of it ever fires: what modules begin is not gone on with. */
const clock: Clock = { ...systemClock, after: () => ({ cancel: () => undefined }) };
const INCARNATION = "rehearsal";
const NOWHERE = { incarnation: INCARNATION, version: software.version, meshHost: "", meshPort: 0 };
const NOBODY = { size: 0, get: () => undefined, ofUser: () => [], all: () => [] };

/** @throws ConfigError with the first thing that `zonda serve` would refuse */
export async function rehearse(configuration: Configuration): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "zonda-check-"));
  try {
    // A certificate that is made because none is configured goes there, too.
    new TlsContexts(await readDomainCertificate({ ...configuration, data: folder }));
    await readEngineFiles(configuration);
    await setUpModules(configuration, folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function setUpModules(configuration: Configuration, folder: string): Promise<void> {
  const { domains, upload, web, auth, components, modules, node } = configuration;
  await using stores = await openSqliteStores({ directory: folder });
  const directory = { ...upload.directory, path: path.join(folder, "uploads") };
  const uploads = await openUploads({ ...upload, directory } satisfies UploadOptions, {
    ...{ key: random.bytes(32), web, clock, random, log: silentLog },
  });
  openRouter({
    ...{ domains, stores, uploads, clock, random, software, log: silentLog },
    routes: openMemoryRoutes({ self: { ...node, ...NOWHERE }, clock }),
    mesh: undefined,
    guestDomains: auth.anonymousDomains,
    sessions: () => NOBODY,
    components: { domains: new Set(Object.keys(components.domains)), table: () => NOBODY },
    modules: await modulesWith(externalIn(configuration)),
    options: modules,
    selfIncarnation: INCARNATION,
    credentialsFor: () => Promise.reject(new Error("nobody has a password in a rehearsal")),
  });
  await uploads?.[Symbol.asyncDispose]();
}
