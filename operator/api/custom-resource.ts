/**
 * The CustomResourceDefinition, made from the schemas in spec.ts and status.ts: zod writes JSON
 * Schema, and `structural` turns it into the dialect that Kubernetes accepts.
 */
import { z } from "zod";
import { GROUP, KIND, PLURAL, VERSION } from "./names.ts";
import { specSchema } from "./spec.ts";
import { statusSchema } from "./status.ts";

type Json = Record<string, unknown>;

/** The operator's objects append up to 18 characters, and a Service's name has at most 63. */
const NAME_RULE = {
  rule: "self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
  message:
    "metadata.name must be at most 40 characters, start with a letter and hold only a-z, 0-9 and -: Services are named after it",
};

const column = (name: string, type: string, jsonPath: string, priority = 0) => ({
  name,
  type,
  jsonPath,
  ...(priority > 0 && { priority }),
});

const COLUMNS = [
  column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
  column("Version", "string", ".status.version"),
  column("Nodes", "integer", ".status.readyReplicas"),
  column("Phase", "string", ".status.phase"),
  column("Wanted", "string", ".spec.version", 1),
  column("Age", "date", ".metadata.creationTimestamp"),
];

/** The definition as `kubectl apply` takes it. */
export function customResourceDefinition(): Json {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${PLURAL}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: "Namespaced",
      names: {
        kind: KIND,
        listKind: `${KIND}List`,
        plural: PLURAL,
        singular: "xmppcluster",
        shortNames: ["xc"],
        categories: ["xmpp"],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          additionalPrinterColumns: COLUMNS,
          subresources: {
            status: {},
            scale: {
              specReplicasPath: ".spec.replicas",
              statusReplicasPath: ".status.replicas",
              labelSelectorPath: ".status.selector",
            },
          },
          schema: { openAPIV3Schema: rootSchema() },
        },
      ],
    },
  };
}

const rootSchema = (): Json => ({
  description: "An XMPP service: nodes that serve the same domains as one.",
  type: "object",
  required: ["spec"],
  "x-kubernetes-validations": [NAME_RULE],
  properties: {
    apiVersion: { type: "string", description: "Version of this API." },
    kind: { type: "string", description: "Kind of this object." },
    metadata: { type: "object" },
    spec: structural(z.toJSONSchema(specSchema, { target: "openapi-3.0", io: "input" })),
    status: structural(z.toJSONSchema(statusSchema, { target: "openapi-3.0", io: "input" })),
  },
});

/** zod bounds every integer by what JavaScript can hold; Kubernetes knows its own bounds. */
const UNBOUNDED = new Set<unknown>([Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]);

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function structural(schema: Json): Json {
  if (Array.isArray(schema.anyOf)) return intOrString(schema);
  const { $schema: _, additionalProperties: others, properties, items, ...rest } = schema;
  const result: Json = Object.fromEntries(
    Object.entries(rest).filter(
      ([key, value]) => !((key === "minimum" || key === "maximum") && UNBOUNDED.has(value)),
    ),
  );
  if (isObject(others)) {
    if (Object.keys(others).length > 0) result.additionalProperties = structural(others);
    else result["x-kubernetes-preserve-unknown-fields"] = true;
  }
  if (isObject(properties) && Object.keys(properties).length > 0) {
    result.properties = Object.fromEntries(
      Object.entries(properties).map(([name, child]) => [name, structural(child as Json)]),
    );
  }
  if (isObject(items)) result.items = structural(items);
  if (isObject(result.default)) result.default = defaultsOf(result);
  return result;
}

/** CEL rules are tried on a default as it stands, without the defaults of the fields in it. */
const defaultsOf = ({ properties }: Json): Json =>
  Object.fromEntries(
    Object.entries((properties ?? {}) as Record<string, Json>)
      .filter(([, child]) => child.default !== undefined)
      .map(([name, child]) => [name, child.default]),
  );

function intOrString(schema: Json): Json {
  const branches = schema.anyOf as readonly Json[];
  const text = branches.find(({ type }) => type === "string");
  if (branches.length !== 2 || text === undefined || branches[0]?.type !== "integer") {
    throw new Error("Cannot write the CRD: only unions of integer and string are structural");
  }
  return {
    anyOf: [{ type: "integer" }, { type: "string" }],
    "x-kubernetes-int-or-string": true,
    ...(text.pattern !== undefined && { pattern: text.pattern }),
  };
}
