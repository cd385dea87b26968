/**
 * Reads a configuration: the YAML file, then environment variables, then --set, in that order.
 * `${NAME}` and `${NAME:-default}` in the file are replaced by environment variables.
 */
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import type { z } from "zod";
import { ConfigError } from "../base/errors.ts";
import { nearest } from "./nearest.ts";

export interface Sources {
  /** Path of the YAML file; only defaults and overrides without one. */
  readonly file: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** "dotted.path=value" */
  readonly sets: readonly string[];
}

type Tree = Record<string, unknown>;

/** The configuration with every default filled in. @throws ConfigError naming each fault. */
export function loadConfiguration<S extends z.ZodType>(schema: S, sources: Sources): z.output<S> {
  const tree = sources.file === undefined ? {} : readTree(sources.file, sources.environment);
  const leaves = leavesOf(schema);
  for (const [path, value] of environmentOverrides(leaves, sources.environment)) {
    assign(tree, path, value);
  }
  for (const set of sources.sets) {
    const [path, value] = parseSet(set, leaves);
    assign(tree, path, value);
  }
  const result = schema.safeParse(tree);
  if (result.success) return result.data;
  const faults = result.error.issues.flatMap((issue) => describe(issue, leaves));
  throw new ConfigError(`Cannot use the configuration:\n${faults.map((f) => `  ${f}`).join("\n")}`);
}

function readTree(path: string, environment: Sources["environment"]): Tree {
  let parsed: unknown;
  try {
    parsed = parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ConfigError(`Cannot read the configuration: ${(cause as Error).message}`, { cause });
  }
  const tree = substitute(parsed ?? {}, environment);
  if (isTree(tree)) return tree;
  throw new ConfigError(`Cannot read the configuration: ${path} must hold options, key: value`);
}

const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function substitute(value: unknown, environment: Sources["environment"]): unknown {
  if (typeof value === "string") return substituteText(value, environment);
  if (Array.isArray(value)) return value.map((item) => substitute(item, environment));
  if (!isTree(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, substitute(item, environment)]),
  );
}

const PLACEHOLDER = /\$\{([A-Z_][A-Z0-9_]*)(?::-([^}]*))?\}/g;

function substituteText(text: string, environment: Sources["environment"]): unknown {
  const replaced = text.replace(PLACEHOLDER, (_, name: string, fallback: string | undefined) => {
    const value = environment[name] || fallback;
    if (value !== undefined) return value;
    throw new ConfigError(`Cannot read the configuration: \${${name}} is not set`);
  });
  // A placeholder that is the whole value takes its YAML type, so `port: ${PORT:-5222}` is a number.
  return /^\$\{[^}]*\}$/.test(text) ? parse(replaced) : replaced;
}

interface Leaf {
  readonly path: readonly string[];
  readonly kind: "text" | "list" | "value";
}

const WRAPPERS = new Set(["default", "prefault", "optional", "pipe"]);

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  const definition = schema._zod.def as {
    type: string;
    innerType?: z.core.$ZodType;
    in?: z.core.$ZodType;
  };
  if (!WRAPPERS.has(definition.type)) return schema;
  return unwrap((definition.innerType ?? definition.in) as z.core.$ZodType);
}

const KINDS: Readonly<Record<string, Leaf["kind"]>> = {
  string: "text",
  enum: "text",
  array: "list",
};

/** A value given outside of the file: text as it stands, a list as "a,b" or YAML, else YAML. */
function parseOverride({ kind }: Leaf, value: string): unknown {
  if (kind === "text") return value;
  if (kind === "list" && !value.startsWith("[")) return value.split(",").map((item) => item.trim());
  return parse(value);
}

/** Every option that is not a section, in declaration order. */
export function leavesOf(schema: z.core.$ZodType, path: readonly string[] = []): readonly Leaf[] {
  const inner = unwrap(schema);
  const { type, shape } = inner._zod.def as { type: string; shape?: z.core.$ZodShape };
  if (shape === undefined) return [{ path, kind: KINDS[type] ?? "value" }];
  return Object.entries(shape).flatMap(([key, child]) => leavesOf(child, [...path, key]));
}

/** drain.deadlineSeconds -> ZONDA_DRAIN_DEADLINE_SECONDS */
export const environmentName = (path: readonly string[]): string =>
  `ZONDA_${path.map((key) => key.replace(/[A-Z]/g, "_$&").toUpperCase()).join("_")}`;

function* environmentOverrides(
  leaves: readonly Leaf[],
  environment: Sources["environment"],
): Iterable<[readonly string[], unknown]> {
  for (const leaf of leaves) {
    const value = environment[environmentName(leaf.path)];
    if (value !== undefined && value !== "") yield [leaf.path, parseOverride(leaf, value)];
  }
}

function parseSet(set: string, leaves: readonly Leaf[]): [readonly string[], unknown] {
  const equals = set.indexOf("=");
  if (equals < 1) throw new ConfigError(`Cannot use --set ${set}: write it as option.name=value`);
  const name = set.slice(0, equals);
  const value = set.slice(equals + 1);
  const leaf = leaves.find(({ path }) => path.join(".") === name);
  if (leaf === undefined) {
    throw new ConfigError(`Cannot use --set ${set}: no option ${name}${suggest(name, leaves)}`);
  }
  return [leaf.path, parseOverride(leaf, value)];
}

const suggest = (name: string, leaves: readonly Leaf[]): string => {
  const guess = nearest(
    name,
    leaves.map(({ path }) => path.join(".")),
  );
  return guess === undefined ? "" : `; did you mean ${guess}?`;
};

function assign(tree: Tree, path: readonly string[], value: unknown): void {
  let node = tree;
  for (const key of path.slice(0, -1)) {
    if (!isTree(node[key])) node[key] = {};
    node = node[key] as Tree;
  }
  node[path.at(-1) as string] = value;
}

function describe(issue: z.core.$ZodIssue, leaves: readonly Leaf[]): readonly string[] {
  const path = issue.path.map(String);
  if (issue.code !== "unrecognized_keys") {
    return [`${path.join(".") || "(all)"}: ${issue.message}`];
  }
  return issue.keys.map((key) => {
    const siblings = new Set(
      leaves
        .filter((leaf) => path.every((part, index) => leaf.path[index] === part))
        .map((leaf) => leaf.path[path.length] as string),
    );
    const guess = nearest(key, [...siblings]);
    const hint = guess === undefined ? "" : `; did you mean ${[...path, guess].join(".")}?`;
    return `${[...path, key].join(".")}: no such option${hint}`;
  });
}
