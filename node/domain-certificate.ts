/** Certificates shown to clients: the configured files, or one made here and kept in `data`. */
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { domainToASCII } from "node:url";
import { ConfigError } from "./base/errors.ts";
import type { Logger } from "./base/log.ts";
import type { KeyPair } from "./config/certificates.ts";
import { isDueForRenewal, issue, makeAuthority } from "./config/certificates.ts";
import type { Configuration } from "./config/schema.ts";

export interface DomainCertificate extends KeyPair {
  /** The file a client must trust, when the certificate is self-made. */
  readonly selfMadeAuthority: string | undefined;
  /** Of domains that have their own. */
  readonly byDomain: Readonly<Record<string, KeyPair>>;
  /** Who may sign clients' certificates, PEM; they are not asked for one without. */
  readonly clientAuthority: string | undefined;
}

/** @throws ConfigError when a configured file cannot be read. */
export async function readDomainCertificate(
  configuration: Configuration,
): Promise<DomainCertificate> {
  const { certificate, key } = configuration.tls;
  const { authority } = configuration.auth.clientCertificates;
  const clientAuthority =
    authority === undefined
      ? undefined
      : await readPem(authority, "auth.clientCertificates.authority");
  const byDomain = await readByDomain(configuration);
  if (certificate === undefined || key === undefined) {
    return { ...(await selfMade(configuration)), byDomain, clientAuthority };
  }
  return {
    certificate: await readPem(certificate, "tls.certificate"),
    key: await readPem(key, "tls.key"),
    selfMadeAuthority: undefined,
    byDomain,
    clientAuthority,
  };
}

async function readByDomain({ tls }: Configuration): Promise<Readonly<Record<string, KeyPair>>> {
  const pairs = Object.entries(tls.domains).map(async ([domain, files]) => {
    const option = `tls.domains.${domain}`;
    const certificate = await readPem(files.certificate, `${option}.certificate`);
    const key = await readPem(files.key, `${option}.key`);
    return [domain, { certificate, key }] as const;
  });
  return Object.fromEntries(await Promise.all(pairs));
}

/**
 * @param file its name, or the PEM text itself
 * @param option the option that named the file, for the message
 */
export async function readPem(file: string, option: string): Promise<string> {
  if (file.startsWith("-----BEGIN ")) return file;
  const text = await readFile(file, "utf8").catch((cause: Error) => {
    throw new ConfigError(`Cannot read ${option}: ${cause.message}`, { cause });
  });
  if (text.includes("-----BEGIN ")) return text;
  throw new ConfigError(`Cannot use ${option}: ${file} is not a PEM file`);
}

async function selfMade({
  data,
  domains,
}: Configuration): Promise<Omit<DomainCertificate, "byDomain" | "clientAuthority">> {
  const files = {
    authority: path.join(data, "tls-authority.crt"),
    authorityKey: path.join(data, "tls-authority.key"),
    certificate: path.join(data, "tls.crt"),
    key: path.join(data, "tls.key"),
    domains: path.join(data, "tls.domains"),
  };
  const names = domains.join("\n");
  if (!(await isCurrent(files, names))) await make(data, files, domains, names);
  return {
    certificate: await readFile(files.certificate, "utf8"),
    key: await readFile(files.key, "utf8"),
    selfMadeAuthority: files.authority,
  };
}

async function isCurrent(
  files: { readonly certificate: string; readonly key: string; readonly domains: string },
  names: string,
): Promise<boolean> {
  if (!existsSync(files.certificate) || !existsSync(files.key)) return false;
  const made = await readFile(files.domains, "utf8").catch(() => "");
  return made === names && !isDueForRenewal(await readFile(files.certificate, "utf8"), Date.now());
}

interface SelfMadeFiles {
  readonly authority: string;
  readonly authorityKey: string;
  readonly certificate: string;
  readonly key: string;
  readonly domains: string;
}

const OWNER_ONLY = { mode: 0o600 };

/** The one that clients trust already, when domains come and go. */
async function selfMadeAuthority({ authority, authorityKey }: SelfMadeFiles): Promise<KeyPair> {
  if (existsSync(authority) && existsSync(authorityKey)) {
    const certificate = await readFile(authority, "utf8");
    const key = await readFile(authorityKey, "utf8");
    if (!isDueForRenewal(certificate, Date.now())) return { certificate, key };
  }
  const made = await makeAuthority("Zonda self-made authority");
  await writeFile(authority, made.certificate);
  await writeFile(authorityKey, made.key, OWNER_ONLY);
  return made;
}

async function make(
  data: string,
  files: SelfMadeFiles,
  domains: readonly string[],
  mark: string,
): Promise<void> {
  try {
    await mkdir(data, { recursive: true });
  } catch (error) {
    throw new ConfigError(`Cannot use data: ${(error as Error).message}`, { cause: error });
  }
  const authority = await selfMadeAuthority(files);
  const names = domains.map(domainToASCII); // As TLS writes them.
  const request = { commonName: names[0] as string, names };
  const { certificate, key } = await issue(authority, request);
  await writeFile(files.key, key, OWNER_ONLY);
  await writeFile(files.certificate, certificate);
  await writeFile(files.domains, mark);
}

const WATCH_MS = 60_000;

/**
 * Looks at the configured files once a minute and hands over what changed; secrets are replaced.
 * @param inUse the certificate that was read at the start
 */
export function watchCertificate(
  configuration: () => Configuration,
  inUse: DomainCertificate,
  onChange: (renewed: DomainCertificate) => void,
  log: Logger,
): Disposable {
  let known = inUse;
  const look = async (): Promise<void> => {
    const renewed = await readDomainCertificate(configuration());
    if (JSON.stringify(known) === JSON.stringify(renewed)) return;
    onChange(renewed);
    known = renewed;
    log.info({ room: "tls" }, "certificate replaced");
  };
  const lookSafely = (): void =>
    void look().catch((error: Error) => {
      log.error({ room: "tls", reason: error.message }, "cannot replace the certificate");
    });
  const timer = setInterval(lookSafely, WATCH_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
