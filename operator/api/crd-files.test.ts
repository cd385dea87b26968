import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { crdFiles } from "./crd-files.ts";
import { customResourceDefinition } from "./custom-resource.ts";
import { specSchema } from "./spec.ts";
import { example, readText } from "./testing/clusters.ts";

type Json = Record<string, unknown>;

/** Every schema in the definition with the path it stands at. */
function* schemas(schema: Json, path: string): Iterable<[string, Json]> {
  yield [path, schema];
  for (const [name, child] of Object.entries((schema.properties ?? {}) as Json)) {
    yield* schemas(child as Json, `${path}.${name}`);
  }
  if (schema.items) yield* schemas(schema.items as Json, `${path}[]`);
  if (schema.additionalProperties) yield* schemas(schema.additionalProperties as Json, `${path}{}`);
}

const definition = parse(readText("crds/xmppcluster.yaml"));
const all = [...schemas(definition.spec.versions[0].schema.openAPIV3Schema, "")];

describe("the CRD files", () => {
  test.each(Object.keys(crdFiles()))("%s is what write-crds.ts writes", (path) => {
    expect(readText(path)).toBe(crdFiles()[path]);
  });

  test("the manifest says what the schemas in TypeScript say", () => {
    expect(definition).toEqual(JSON.parse(JSON.stringify(customResourceDefinition())));
  });

  test("the chart's copy differs only by its conditions, labels and keep policy", () => {
    const lines = (path: string) =>
      readText(path)
        .split("\n")
        .filter((line) => !/\{\{|^ {2}(annotations|labels):$|helm\.sh\/resource-policy/.test(line));
    expect(lines("charts/xmpp-operator/templates/crds/xmppcluster.yaml")).toEqual(
      lines("crds/xmppcluster.yaml"),
    );
    expect(readText("crds/xmppcluster.yaml")).not.toContain("{{"); // Helm would take it as its own.
  });

  test("every field has a description", () => {
    const silent = all.filter(
      ([path, { description }]) => !/^$|\.metadata$|\[\]$|\{\}$/.test(path) && !description,
    );
    expect(silent.map(([path]) => path)).toEqual([]);
  });

  test("every text, list and map has a bound, or CEL rules could cost too much", () => {
    const boundless = all.filter(([path, schema]) => {
      if (path === ".apiVersion" || path === ".kind") return false;
      if (schema.type === "string") return !("maxLength" in schema) && !("enum" in schema);
      if (schema.type === "array") return !("maxItems" in schema);
      return "additionalProperties" in schema && !("maxProperties" in schema);
    });
    expect(boundless.map(([path]) => path)).toEqual([]);
  });
});

describe("the examples", () => {
  test.each(["minimal", "full"] as const)("%s.yaml is a spec", (name) => {
    expect(specSchema.safeParse(example(name).spec)).toMatchObject({ success: true });
  });

  test("full.yaml names every field of the spec", () => {
    const spec = (example("full").spec ?? {}) as Json;
    const value = (path: string): unknown =>
      path
        .split(".")
        .slice(2)
        .reduce<unknown>((at, key) => (at as Json | undefined)?.[key], spec);
    const missing = all
      .map(([path]) => path)
      .filter((path) => /^\.spec\.[\w.]+$/.test(path) && !path.startsWith(".spec.config."))
      .filter((path) => value(path) === undefined);
    expect(missing).toEqual([]);
  });
});
