/**
 * Takes over what has changed in the configuration while the node runs: domains and certificates.
 * Everything else that was changed needs a restart, and is named in the log.
 */
import type { Logger } from "./base/log.ts";
import type { Configuration } from "./config/schema.ts";
import { readDomainCertificate } from "./domain-certificate.ts";
import type { Domains } from "./domains.ts";
import type { ClientDoor } from "./session/door.ts";

/** Options, and sections, that a running node takes over. */
const TAKEN_OVER: ReadonlySet<string> = new Set(["domains", "tls"]);

const isSection = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The names of the options that differ, as in c2s.port. */
export function changedOptions(before: unknown, after: unknown, at = ""): readonly string[] {
  if (isSection(before) && isSection(after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...names].flatMap((name) =>
      changedOptions(before[name], after[name], at === "" ? name : `${at}.${name}`),
    );
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [at];
}

export interface ReloadParts {
  readonly configuration: Configuration;
  readonly domains: Domains;
  readonly door: Pick<ClientDoor, "setSecureContext" | "closeDomain">;
  readonly log: Logger;
}

export class Reloader {
  readonly #parts: ReloadParts;
  readonly #log: Logger;
  #configuration: Configuration;
  #last: Promise<void> = Promise.resolve();

  constructor(parts: ReloadParts) {
    this.#parts = parts;
    this.#log = parts.log.child({ room: "reload" });
    // A copy: the domains that are shared change in place.
    this.#configuration = { ...parts.configuration, domains: [...parts.configuration.domains] };
  }

  /** What is in use now. */
  get configuration(): Configuration {
    return this.#configuration;
  }

  /** One after the other. Never rejects: what cannot be taken over is logged, and nothing changes. */
  reload(next: Configuration): Promise<void> {
    this.#last = this.#last.then(() => this.#take(next));
    return this.#last;
  }

  async #take(next: Configuration): Promise<void> {
    const { domains, door } = this.#parts;
    const changed = changedOptions(this.#configuration, next);
    const refused = changed.filter((name) => !TAKEN_OVER.has(name.split(".", 1)[0] as string));
    if (refused.length > 0) {
      this.#log.warn({ options: refused }, "cannot change while running: restart the node");
    }
    const wished = { ...this.#configuration, domains: next.domains, tls: next.tls };
    try {
      // Also when no option differs: the files it names may hold other certificates by now.
      door.setSecureContext(await readDomainCertificate(wished));
    } catch (error) {
      const reason = (error as Error).message;
      this.#log.error({ reason }, "cannot take over the configuration: what is in use stays");
      return;
    }
    const { added, removed } = domains.replace(next.domains);
    this.#configuration = wished;
    for (const domain of removed) door.closeDomain(domain);
    this.#log.info({ added, removed }, "configuration taken over");
  }
}
