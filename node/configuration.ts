/** The whole configuration: the node's own sections and the modules' options. */
import type { z } from "zod";
import { loadConfiguration } from "./config/load.ts";
import { section } from "./config/options.ts";
import { configurationSchema } from "./config/schema.ts";
import { modules } from "./modules/index.ts";

const moduleSections = Object.fromEntries(
  modules
    .filter(({ options }) => Object.keys(options).length > 0)
    .map(({ name, options }) => [name, section(`Options of the ${name} module.`, options)]),
);

export const schema = configurationSchema(moduleSections as z.ZodRawShape);

/** @throws ConfigError naming every fault. */
export const readConfiguration = (source: {
  readonly file: string | undefined;
  readonly sets: readonly string[];
}): z.output<typeof schema> => loadConfiguration(schema, { ...source, environment: process.env });
