/**
 * docs/reference/, docs/compliance.md and docs/bad-input.md are generated: options, metrics, error codes,
 * XEPs, resource fields, compliance suites, answers to bad input. Without an argument it compares, with --write it writes.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { environmentName } from "../node/config/load.ts";
import { schema } from "../node/configuration.ts";
import { IMPLEMENTED } from "../node/implemented.ts";
import { metricsOf } from "../node/metrics.ts";
import { MODULES } from "../node/modules/index.ts";
import { badInputs } from "./bad-input.ts";
import { RFCS, ROWS, type Row } from "./compliance.ts";
import { listSources, read, report, root } from "./sources.ts";

const faults: string[] = [];

interface Property {
  readonly description?: string;
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, Property>>;
  readonly items?: Property;
}

interface Field {
  readonly path: readonly string[];
  readonly property: Property;
}

/** Every field below a schema, sections before what is in them. */
function fieldsOf(schemaNode: Property, at: readonly string[] = []): readonly Field[] {
  const node = schemaNode.items?.properties === undefined ? schemaNode : schemaNode.items;
  return Object.entries(node.properties ?? {}).flatMap(([key, property]) => {
    const here = [...at, key];
    return [{ path: here, property }, ...fieldsOf(property, here)];
  });
}

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

function bounds({ minimum, maximum, enum: choices }: Property): string {
  if (choices !== undefined) return choices.map((one) => `\`${one}\``).join(", ");
  if (minimum === undefined || maximum === undefined) return "";
  return Math.abs(minimum) < 2 ** 53 - 1 && maximum < 2 ** 53 - 1 ? `${minimum} to ${maximum}` : "";
}

const table = (heads: readonly string[], rows: readonly (readonly string[])[]): string =>
  [heads, heads.map(() => "---"), ...rows]
    .map((row) => `| ${row.map(cell).join(" | ")} |`)
    .join("\n");

function isHostDependent({ path: at }: Field): boolean {
  return at.join(".") === "node.name";
}

function options(): string {
  const rows = fieldsOf(z.toJSONSchema(schema, { io: "input" }) as Property)
    .filter(({ property }) => property.properties === undefined)
    .map((field) => {
      const { path: at, property } = field;
      const value = isHostDependent(field) ? "the host's name" : JSON.stringify(property.default);
      return [
        `\`${at.join(".")}\``,
        value ?? "",
        bounds(property),
        property.description ?? "",
        `\`${environmentName(at)}\``,
      ];
    });
  return `# Options\n\nThe configuration file's options, and the variables that override them.\n\n${table(["option", "default", "bounds", "what it is", "variable"], rows)}\n`;
}

function metrics(): string {
  const rows = metricsOf(MODULES).map(({ name, kind, help }) => [`\`${name}\``, kind, help]);
  return `# Metrics\n\nAt \`/metrics\`, besides those of the process and Node.js.\n\n${table(["metric", "kind", "what it counts"], rows)}\n`;
}

const RAISED =
  /new (?:Unavailable|JidError)\(\s*"(?<code>[a-z-]+)",\s*(?<quote>["`])(?<message>[^"`]*)/g;

function errors(): string {
  const codes = new Map<string, string>();
  for (const { text, isTest } of listSources("node")) {
    if (isTest) continue;
    for (const { groups } of text.matchAll(RAISED)) {
      const { code, message } = groups as { code: string; message: string };
      if (!codes.has(code)) codes.set(code, message.replace(/\$\{[^}]*\}/g, "…"));
    }
  }
  const rows = [...codes].sort().map(([code, message]) => [`\`${code}\``, message]);
  return `# Error codes\n\nWhat a node could not do, as its logs name it.\n\n${table(["code", "message"], rows)}\n`;
}

function xeps(): string {
  const rows = [...IMPLEMENTED]
    .sort((a, b) => a.xep - b.xep)
    .map(({ xep, version, name, where }) => [xepName(xep), name, version, where]);
  return `# XEPs\n\nBesides RFC 6120, RFC 6121 and RFC 7622.\n\n${table(["XEP", "name", "version", "where"], rows)}\n`;
}

function resource(): string {
  const crd = parse(read("crds/xmppcluster.yaml")) as {
    spec: { versions: readonly { schema: { openAPIV3Schema: Property } }[] };
  };
  const rows = fieldsOf(crd.spec.versions[0]?.schema.openAPIV3Schema as Property)
    .filter(({ path: at }) => at[0] === "spec" || at[0] === "status")
    .map(({ path: at, property }) => [
      `\`${at.join(".")}\``,
      property.type ?? "",
      property.default === undefined ? "" : JSON.stringify(property.default),
      bounds(property),
      property.description ?? "",
    ]);
  return `# XmppCluster\n\n${table(["field", "type", "default", "bounds", "what it is"], rows)}\n`;
}

const xepName = (xep: number): string => `XEP-${String(xep).padStart(4, "0")}`;

function complianceRow({ suite, level, what, rfcs = [], xeps: wanted = [], tests }: Row) {
  const missing = [
    ...rfcs.filter((rfc) => !RFCS.has(rfc)).map((rfc) => `RFC ${rfc}`),
    ...wanted.filter((xep) => !IMPLEMENTED.some((one) => one.xep === xep)).map(xepName),
  ];
  const needs = [...rfcs.map((rfc) => `RFC ${rfc}`), ...wanted.map(xepName)].join(", ");
  const isMet = missing.length === 0;
  for (const test of tests) {
    if (!existsSync(path.join(root, test))) faults.push(`.ci/compliance.ts: there is no ${test}`);
  }
  const shown = tests.map((test) => `\`${test}\``).join(", ");
  const state = isMet ? "yes" : `not yet: ${missing.join(", ")}`;
  return [suite, level, what, needs, state, isMet ? shown : ""];
}

function compliance(): string {
  const heads = ["suite", "level", "what", "needs", "met", "shown by"];
  return `# Compliance\n\nThe server's rows of XEP-0479 (XMPP Compliance Suites 2023).\n\n${table(heads, ROWS.map(complianceRow))}\n`;
}

const bad = await badInputs();

function badInput(): string {
  const heads = ["feature", "bad input", "answer", "shown by"];
  const rows = bad.map(({ feature, name, answer, file }) => [
    ...[feature, name, answer],
    `[${path.parse(file).name}](../e2e/${file})`,
  ]);
  return `# Bad input\n\n${bad.length} inputs that a server must not take, and what it answers. Most are steps of dialogues under a\ncomment "Bad input", which run on one node and on three, and over WebSocket and BOSH; what comes over HTTP or from\ncomponents is sent to one node.\n\n${table(heads, rows)}\n`;
}

const PAGES: Readonly<Record<string, () => string>> = {
  "reference/options.md": options,
  "reference/metrics.md": metrics,
  "reference/errors.md": errors,
  "reference/xeps.md": xeps,
  "reference/resource.md": resource,
  "compliance.md": compliance,
  "bad-input.md": badInput,
};

const folder = path.join(root, "docs");
const shouldWrite = process.argv.includes("--write");
for (const [name, make] of Object.entries(PAGES)) {
  const file = path.join(folder, name);
  const wanted = `<!-- Generated by npm run docs. -->\n${make()}`;
  if (shouldWrite) {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, wanted);
  } else if (!existsSync(file) || readFileSync(file, "utf8") !== wanted) {
    faults.push(`docs/${name} is not what the code says: run npm run docs`);
  }
}
report("docs", faults);
