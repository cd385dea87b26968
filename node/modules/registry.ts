/** Puts modules in order by what they need, and refuses at boot what could only fail later. */
import { ConfigError } from "../base/errors.ts";
import type { Registration } from "../router/registrations.ts";
import type { Owned } from "../router/stages.ts";
import type { ClusterService } from "./contract/cluster.ts";
import type {
  AnnounceRegistration,
  BoundNoteRegistration,
  CommandRegistration,
  DiscoRegistration,
  Host,
  InlineRegistration,
  Module,
  ServiceName,
} from "./contract.ts";

/** The host of all modules; what each has for itself is made when it is set up. */
export type SharedHost = Omit<Host, "cluster"> & {
  readonly clusterFor: (module: string) => ClusterService;
};

export interface Loaded {
  readonly registrations: readonly Owned<Registration>[];
  readonly features: readonly string[];
  /** Each module's metrics by module name: the numbers that the module itself changes. */
  readonly counts: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly disco: readonly DiscoRegistration[];
  readonly announced: readonly AnnounceRegistration[];
  readonly inline: readonly InlineRegistration[];
  readonly boundNotes: readonly BoundNoteRegistration[];
  readonly commands: readonly CommandRegistration[];
}

/**
 * The modules so that every one comes after those that provide what it needs; otherwise in the
 * order given. @throws ConfigError for a duplicate, a missing service or a cycle
 */
export function inOrder(modules: readonly Module[]): readonly Module[] {
  const providers = providersOf(modules);
  const placed = new Set<Module>();
  const path: Module[] = [];
  const place = (module: Module) => {
    if (placed.has(module)) return;
    if (path.includes(module)) {
      const names = [...path.slice(path.indexOf(module)), module].map(({ name }) => name);
      throw new ConfigError(`Cannot load modules: they need each other: ${names.join(" -> ")}`);
    }
    path.push(module);
    for (const need of module.needs) {
      const provider = providers.get(need);
      if (provider === undefined) {
        throw new ConfigError(
          `Cannot load module ${module.name}: no module provides "${need}", which it needs`,
        );
      }
      place(provider);
    }
    path.pop();
    placed.add(module);
  };
  for (const module of modules) place(module);
  return [...placed];
}

function providersOf(modules: readonly Module[]): ReadonlyMap<ServiceName, Module> {
  const names = new Set<string>();
  const providers = new Map<ServiceName, Module>();
  for (const module of modules) {
    if (names.has(module.name)) {
      throw new ConfigError(`Cannot load module ${module.name}: it stands in the list twice`);
    }
    names.add(module.name);
    for (const provided of module.provides) {
      const other = providers.get(provided);
      if (other !== undefined) {
        throw new ConfigError(
          `Cannot load module ${module.name}: ${other.name} provides "${provided}" already`,
        );
      }
      providers.set(provided, module);
    }
  }
  return providers;
}

/**
 * Sets every module up.
 * @param options each module's options by name, defaults filled in
 * @throws ConfigError
 */
export function load(
  modules: readonly Module[],
  { clusterFor, ...host }: SharedHost,
  options: Readonly<Record<string, unknown>>,
): Loaded {
  const services: Partial<Record<ServiceName, unknown>> = {};
  const registrations: Owned<Registration>[] = [];
  const features = new Set<string>();
  const counts: Record<string, Record<string, number>> = {};
  const disco: DiscoRegistration[] = [];
  const announced: AnnounceRegistration[] = [];
  const inline: InlineRegistration[] = [];
  const boundNotes: BoundNoteRegistration[] = [];
  const commands: CommandRegistration[] = [];
  for (const module of inOrder(modules)) {
    const log = host.log.child({ module: module.name });
    const own = Object.fromEntries(Object.keys(module.metrics).map((name) => [name, 0]));
    counts[module.name] = own;
    const cluster = clusterFor(module.name);
    const given = { ...host, log, cluster, counts: own, ...pick(services, module.needs) };
    for (const one of module.setup(given as never, (options[module.name] ?? {}) as never)) {
      if (one.kind === "service") services[one.name] = one.service;
      else if (one.kind === "disco") disco.push(one);
      else if (one.kind === "announce") announced.push(one);
      else if (one.kind === "inline") inline.push(one);
      else if (one.kind === "bound-note") boundNotes.push(one);
      else if (one.kind === "command") commands.push(one);
      else registrations.push({ module: module.name, registration: one });
    }
    for (const provided of module.provides) {
      if (services[provided] === undefined) {
        throw new ConfigError(
          `Cannot load module ${module.name}: it says it provides "${provided}" and does not`,
        );
      }
    }
    for (const feature of module.features) features.add(feature);
  }
  const twice = inline.find((one, index) =>
    inline.some(({ ns }, at) => at < index && ns === one.ns),
  );
  if (twice !== undefined) {
    throw new ConfigError(`Cannot load modules: two of them enable ${twice.ns} inline`);
  }
  const told = { disco, announced, inline, boundNotes, commands };
  return { registrations, features: [...features].toSorted(), ...told, counts };
}

const pick = (services: Partial<Record<ServiceName, unknown>>, names: readonly ServiceName[]) =>
  Object.fromEntries(names.map((name) => [name, services[name]]));
