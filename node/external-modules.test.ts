import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ConfigError } from "./base/errors.ts";
import { readConfiguration, readSchema } from "./configuration.ts";
import { modulesWith } from "./external-modules.ts";
import type { Module } from "./modules/contract.ts";
import { MODULES } from "./modules/index.ts";
import type { IqRegistration } from "./router/iq.ts";
import type { StageRegistration } from "./router/stages.ts";

let folder: string;
let written = 0;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "zonda-external-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** @returns its path */
async function write(text: string): Promise<string> {
  written += 1;
  const file = path.join(folder, `module-${written}.mjs`);
  await writeFile(file, text);
  return file;
}

/** A module that says so much of itself. */
const declaring = (members: string, name = "visitor") =>
  write(`export default { api: 1, module: (kit) => kit.defineModule({
    name: "${name}", about: "Visits.", setup: () => [], ${members} }) };`);

test("modules from outside follow those of the node, in order", async () => {
  const [one, two] = [await declaring("", "one"), await declaring("", "two")];
  const names = (await modulesWith([two, one])).map(({ name }) => name);
  expect(names).toEqual([...MODULES.map(({ name }) => name), "two", "one"]);
  expect(await modulesWith([])).toEqual(MODULES);
});

test("a folder stands for what its package.json names", async () => {
  const inside = path.join(folder, "inside");
  await mkdir(inside);
  await writeFile(path.join(inside, "package.json"), '{"type": "module", "main": "./own.js"}');
  const own = "export default { api: 1, module: (kit) => kit.defineModule({ name: 'own', ";
  await writeFile(path.join(inside, "own.js"), `${own}about: 'Own.', setup: () => [] }) };`);
  expect((await modulesWith([inside])).at(-1)?.name).toBe("own");
});

test.each([
  ["is not there", async () => path.join(folder, "nowhere"), /not found: .*nowhere$/],
  ["is no package", async () => "zonda-nowhere", /no such package; a path begins with \.\/ or \//],
  ["cannot be read", () => write("this is no JavaScript"), /Unexpected identifier|Parse fail/],
  ["throws when it is read", () => write("throw new Error('not today')"), /not today/],
  ["exports nothing", () => write(""), /its default export must be \{ api, module\(kit\) \}/],
  ["exports something else", () => write("export default { api: 1 }"), /its default export must/],
  ["exports nothing much", () => write("export default null"), /its default export must/],
  [
    "was written for another version",
    () => write("export default { api: 2, module: () => {} }"),
    /it was written for module API 2, this node has 1/,
  ],
  [
    "makes no module",
    () => write("export default { api: 1, module: () => undefined }"),
    /module\(kit\) answers with no module/,
  ],
  [
    "makes its module without the kit",
    () =>
      write("export default { api: 1, module: () => ({ name: 'a', about: 'A.', setup() {} }) }"),
    /it was not made with defineModule/,
  ],
  ["throws when it declares", () => declaring("...kit.nothing.there"), /Cannot read prop/],
  ["has the name of another", () => declaring("", "ping"), /there is a module "ping" already/],
  ["has a name that is taken", () => declaring("", "external"), /there is a module "external"/],
  ["has no proper name", () => declaring("", "Bad name"), /"Bad name" is no name of a module/],
  ["has too long a name", () => declaring("", "a".repeat(41)), /is no name of a module/],
  ["says nothing of itself", () => declaring("about: ''"), /it must say what it is about/],
  ["sets nothing up", () => declaring("setup: undefined"), /it has no setup/],
  ["has an option of its own making", () => declaring("options: { a: 1 }"), /its option a was not/],
  ["has a metric of its own making", () => declaring("metrics: { a: {} }"), /its metric a was not/],
  [
    "counts what is counted already",
    () => declaring("metrics: { stanzasIn: kit.counter('Twice.') }", "router"),
    /there is a metric zonda_router_stanzas_in_total already/,
  ],
  ["needs what nobody has", () => declaring("needs: ['gold']"), /no module provides "gold"/],
  ["provides what another does", () => declaring("provides: ['roster']"), /provides "roster"/],
])("a module that %s is refused by name", async (_, make, why) => {
  const name = await make();
  const refused = expect(modulesWith([name])).rejects;
  await refused.toThrow(ConfigError);
  await refused.toThrow(why);
  await refused.toThrow(`Cannot load external module ${name}: `);
});

test("a module that is named twice is refused", async () => {
  const name = await declaring("");
  await expect(modulesWith([name, `${folder}/./${path.basename(name)}`])).rejects.toThrow(
    /there is a module "visitor" already/,
  );
});

test("its options are checked as all others are, and stand in the schema", async () => {
  const about = "about: 'How often.', default: 3, min: 1, max: 9";
  const name = await declaring(`options: { times: kit.options.integer({ ${about} }) }`);
  const external = `modules.external=${name}`;
  const read = (...sets: readonly string[]) =>
    readConfiguration({ file: undefined, sets: [external, ...sets] });
  expect((await read()).modules.visitor).toEqual({ times: 3 });
  expect((await read("modules.visitor.times=4")).modules.visitor).toEqual({ times: 4 });
  await expect(read("modules.visitor.times=10")).rejects.toThrow(
    /modules\.visitor\.times: Too big/,
  );
  await expect(read("modules.visitor.time=1")).rejects.toThrow(/mean modules\.visitor\.times\?/);
  const without = readConfiguration({ file: undefined, sets: ["modules.visitor.times=4"] });
  await expect(without).rejects.toThrow(/no option modules\.visitor\.times/);
  const schema = await readSchema({ file: undefined, sets: [external] });
  expect(Object.keys(schema.shape.modules.def.innerType.shape)).toContain("visitor");
});

test("a file names modules, and their options beside them", async () => {
  const name = await declaring(
    "options: { loud: kit.options.flag({ about: 'x', default: false }) }",
  );
  const file = path.join(folder, "zonda.yaml");
  await writeFile(file, `modules: { external: ["${name}"], visitor: { loud: true } }`);
  const { modules } = await readConfiguration({ file, sets: [] });
  expect(modules).toMatchObject({ external: [name], visitor: { loud: true } });
  await writeFile(file, "modules: { external: [1] }");
  const numbered = readConfiguration({ file, sets: [] });
  await expect(numbered).rejects.toThrow(/modules\.external\.0: Invalid input: expected string/);
});

test("the module of the manual is one", async () => {
  const manual = await readFile(path.join(import.meta.dirname, "../docs/modules.md"), "utf8");
  const [, code = ""] = manual.match(/^```js\n(.*?)^```$/ms) ?? [];
  const sets = [`modules.external=${await write(code)}`, "modules.silence.bytesMax=1000"];
  const { modules } = await readConfiguration({ file: undefined, sets });
  expect(modules.silence).toEqual({ bytesMax: 1_000 });
  const module = (await modulesWith(modules.external as unknown as string[])).at(-1) as Module;
  const counts = { refused: 0 };
  const [limit, refuse] = module.setup({ counts } as never, { bytesMax: 9 } as never);
  const answer = (limit as IqRegistration).run({} as never);
  expect(String(answer)).toBe('<limit xmlns="urn:example:silence" max="9"/>');
  const { run } = refuse as StageRegistration<"outbound">;
  const verdict = (bytes: string) =>
    run({ kind: "message", bytes: Buffer.from(bytes) } as never, {} as never, {} as never);
  expect([verdict("short"), verdict("not so short")]).toMatchObject([
    { kind: "pass" },
    { kind: "bounce", condition: "policy-violation" },
  ]);
  expect(counts.refused).toBe(1);
});
