/** The whole configuration: the node's own sections and the modules' options. */
import type { z } from "zod";
import { ConfigError } from "./base/errors.ts";
import { loadConfiguration } from "./config/load.ts";
import { configurationSchema, externalSchema } from "./config/schema.ts";
import { modulesWith } from "./external-modules.ts";
import { proxyList } from "./http/proxies.ts";
import { MODULES, optionsOf } from "./modules/index.ts";
import { prepareDomain } from "./stanza/domain.ts";

/** Of a node without modules from outside. */
export const schema = configurationSchema(optionsOf(MODULES));

type Whole = z.output<typeof schema>;

interface Source {
  readonly file: string | undefined;
  readonly sets: readonly string[];
}

const EXTERNAL = "modules.external=";

/** With the modules that the configuration names. @throws ConfigError */
export async function readSchema({ file, sets }: Source): Promise<typeof schema> {
  const { modules } = loadConfiguration(externalSchema, {
    file,
    sets: sets.filter((set) => set.startsWith(EXTERNAL)),
    environment: process.env,
  });
  return configurationSchema(optionsOf(await modulesWith(modules.external)));
}

/** @throws ConfigError naming every fault. */
export async function readConfiguration(source: Source): Promise<Whole> {
  const complete = await readSchema(source);
  return withPrepared(loadConfiguration(complete, { ...source, environment: process.env }));
}

/** Domains in the one form that is compared, wherever they are named. */
function withPrepared(configuration: Whole): Whole {
  const { tls, auth, c2s, components, web } = configuration;
  // `zonda config check` must find what would end the start.
  proxyList("web.trustedProxies", web.trustedProxies);
  proxyList("c2s.proxied.trustedProxies", c2s.proxied.trustedProxies);
  const domains = configuration.domains.map((domain) => prepared(domain, "domains"));
  if (new Set(domains).size < domains.length) {
    throw new ConfigError("Cannot use the configuration: domains: two mean the same");
  }
  const certificates = Object.entries(tls.domains).map(([name, files]) => {
    const domain = prepared(name, "tls.domains");
    if (domains.includes(domain)) return [domain, files] as const;
    throw new ConfigError(
      `Cannot use the configuration: tls.domains: ${name} is none of the domains`,
    );
  });
  const anonymousDomains = auth.anonymousDomains.map((domain) =>
    prepared(domain, "auth.anonymousDomains"),
  );
  return {
    ...configuration,
    domains,
    components: { ...components, domains: preparedComponents(components.domains, domains) },
    tls: { ...tls, domains: Object.fromEntries(certificates) },
    auth: { ...auth, anonymousDomains },
  };
}

function preparedComponents(
  written: Whole["components"]["domains"],
  domains: readonly string[],
): Whole["components"]["domains"] {
  const found: Whole["components"]["domains"] = {};
  for (const [name, component] of Object.entries(written)) {
    const domain = prepared(name, "components.domains");
    if (domains.includes(domain) || Object.hasOwn(found, domain)) {
      throw new ConfigError(
        `Cannot use the configuration: components.domains: ${name} is named already`,
      );
    }
    found[domain] = component;
  }
  return found;
}

function prepared(text: string, option: string): string {
  const domain = prepareDomain(text);
  if (domain !== undefined) return domain;
  throw new ConfigError(`Cannot use the configuration: ${option}: ${text} is not a domain`);
}
