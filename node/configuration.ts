/** The whole configuration: the node's own sections and the modules' options. */
import type { z } from "zod";
import { loadConfiguration } from "./config/load.ts";
import { configurationSchema } from "./config/schema.ts";
import { moduleOptions } from "./modules/index.ts";

export const schema = configurationSchema(moduleOptions);

/** @throws ConfigError naming every fault. */
export const readConfiguration = (source: {
  readonly file: string | undefined;
  readonly sets: readonly string[];
}): z.output<typeof schema> => loadConfiguration(schema, { ...source, environment: process.env });
