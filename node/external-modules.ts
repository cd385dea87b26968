/** Modules from outside the tree, named by `modules.external`: found, read and checked at the start. */
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { ConfigError } from "./base/errors.ts";
import type { Configuration } from "./config/schema.ts";
import { metricsOf } from "./metrics.ts";
import type { ExternalModule } from "./modules/contract/kit.ts";
import { kit, MODULE_API } from "./modules/contract/kit.ts";
import type { Module } from "./modules/contract.ts";
import { MODULES } from "./modules/index.ts";
import { inOrder } from "./modules/registry.ts";

/** It names a section of the configuration and metrics. */
const NAME = /^[a-z][a-zA-Z0-9]{0,39}$/;
const ABOUT_MAX = 200;
/** What stands beside the modules' sections. */
const RESERVED = "external";

/** What `modules.external` names; the type of the section knows names of modules only as text. */
export const externalIn = ({ modules }: Pick<Configuration, "modules">): readonly string[] =>
  modules.external as readonly string[];

/**
 * All modules of a node: its own, then those from outside, in order.
 * @param names paths, from the working directory, or packages installed there or above
 * @throws ConfigError naming the one that cannot be used
 */
export async function modulesWith(names: readonly string[]): Promise<readonly Module[]> {
  const modules = [...MODULES];
  for (const name of names) {
    try {
      const module = moduleIn(await importDefault(name));
      if (module.name === RESERVED || modules.some((other) => other.name === module.name)) {
        throw new ConfigError(`there is a module "${module.name}" already`);
      }
      inOrder([...modules, module]);
      checkMetrics([...modules, module]);
      modules.push(module);
    } catch (cause) {
      const [why] = (cause instanceof Error ? cause.message : String(cause)).split("\n");
      throw new ConfigError(`Cannot load external module ${name}: ${why}`, { cause });
    }
  }
  return modules;
}

async function importDefault(name: string): Promise<unknown> {
  const file = resolve(name);
  const loaded = (await import(pathToFileURL(file).href)) as { readonly default?: unknown };
  return loaded.default;
}

function resolve(name: string): string {
  const isPath = /^\.{0,2}\//.test(name);
  // A file of no name: what counts is the folder it would stand in.
  const { resolve: found } = createRequire(path.resolve("from-here"));
  try {
    return found(isPath ? path.resolve(name) : name);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw cause;
    const where = isPath ? path.resolve(name) : "no such package; a path begins with ./ or /";
    throw new ConfigError(`not found: ${where}`, { cause });
  }
}

/** @throws ConfigError, or whatever the module throws */
function moduleIn(exported: unknown): Module {
  const { api, module: make } = (exported ?? {}) as Partial<ExternalModule>;
  if (typeof api !== "number" || typeof make !== "function") {
    throw new ConfigError("its default export must be { api, module(kit) }");
  }
  if (api !== MODULE_API) {
    throw new ConfigError(`it was written for module API ${api}, this node has ${MODULE_API}`);
  }
  const module: unknown = make(kit);
  const fault = faultOf(module);
  if (fault !== undefined) throw new ConfigError(fault);
  return module as Module;
}

/** What a module in the tree is kept from by its types. */
function faultOf(module: unknown): string | undefined {
  if (typeof module !== "object" || module === null) return "module(kit) answers with no module";
  const { name, about, setup, options, metrics, ...lists } = module as Partial<Module>;
  if (typeof name !== "string" || !NAME.test(name)) return `"${name}" is no name of a module`;
  if (typeof about !== "string" || about === "" || about.length > ABOUT_MAX) {
    return `it must say what it is about, in 1 to ${ABOUT_MAX} characters`;
  }
  if (typeof setup !== "function") return "it has no setup";
  const { needs, provides, features, implements: xeps } = lists;
  if (![needs, provides, features, xeps].every(Array.isArray)) {
    return "it was not made with defineModule";
  }
  for (const [option, declared] of Object.entries(options ?? {})) {
    if (!isOption(declared)) return `its option ${option} was not declared with the kit`;
  }
  for (const [metric, declared] of Object.entries(metrics ?? {})) {
    const isMetric = NAME.test(metric) && /^(counter|gauge)$/.test(String(declared?.kind));
    if (!isMetric) return `its metric ${metric} was not declared with the kit`;
  }
  return undefined;
}

const isOption = (declared: unknown): boolean =>
  typeof declared === "object" && declared !== null && "_zod" in declared;

/** @throws ConfigError */
function checkMetrics(modules: readonly Module[]): void {
  const names = metricsOf(modules).map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) < at);
  if (twice !== undefined) throw new ConfigError(`there is a metric ${twice} already`);
}
