import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ConfigError } from "../base/errors.ts";
import { issue, makeAuthority } from "../config/certificates.ts";
import { readConfiguration } from "../configuration.ts";
import { rehearse } from "../rehearsal.ts";

/** Each loads all of a node; a busy machine takes its time. */
vi.setConfig({ testTimeout: 120_000 });
const CLI = path.join(import.meta.dirname, "..", "cli.ts");

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "zonda-config-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** What is wrong; undefined when nothing is. */
async function faultOf(...sets: readonly string[]): Promise<string | undefined> {
  try {
    await rehearse(await readConfiguration({ file: undefined, sets }));
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

const file = async (name: string, text: string): Promise<string> => {
  await writeFile(path.join(folder, name), text);
  return path.join(folder, name);
};

const check = (...sets: readonly string[]) =>
  promisify(execFile)(process.execPath, [
    ...[CLI, "config", "check"],
    ...sets.flatMap((set) => ["--set", set]),
  ]);

test("a good configuration is good, and nothing is made where the node would keep its data", async () => {
  const web = ["web.port=5280", "web.tls=false", "web.url=https://zonda.example"];
  const { stdout } = await check(`data=${folder}/data`, "upload.engine=directory", ...web);
  expect(stdout).toBe("The configuration is good: localhost on sqlite and memory routes\n");
  expect(await readdir(folder)).toEqual([]);
});

test("what would end the start is said in one line", async () => {
  await expect(check("upload.engine=directory")).rejects.toMatchObject({
    code: 1,
    stderr: "zonda: Cannot take uploads: web.port is needed to serve them\n",
  });
});

test("a file that is not there is told", async () => {
  const fault = await faultOf("tls.certificate=/none.crt", "tls.key=/none.key");
  expect(fault).toMatch(/^Cannot read tls.certificate: ENOENT/);
});

test("a key of another certificate is told", async () => {
  const names = { commonName: "localhost", names: ["localhost"] };
  const [one, other] = [await makeAuthority("one"), await makeAuthority("other")];
  const certificate = await file("a.crt", (await issue(one, names)).certificate);
  const key = await file("b.key", (await issue(other, names)).key);
  const fault = await faultOf(`tls.certificate=${certificate}`, `tls.key=${key}`);
  expect(fault).toMatch(/^Cannot use the certificate and key for clients: .*mismatch$/);
});

test("files of engines are looked for without asking their servers", async () => {
  const store = ["store.engine=cassandra", "store.cassandra.contactPoints=127.0.0.1:1"];
  expect(await faultOf(...store)).toBeUndefined();
  const fault = await faultOf(...store, "store.cassandra.tls.authority=/none.crt");
  expect(fault).toMatch(/^Cannot read store.cassandra.tls.authority: ENOENT/);
});

test("what a module refuses is told", async () => {
  const fault = await faultOf("modules.adhoc.admins=a@@b");
  expect(fault).toMatch(/^Cannot use modules.adhoc.admins: a@@b: /);
});

test("a module from outside that answers what another does, or refuses to be set up, is told", async () => {
  const module = (setup: string) => `
    export default { api: 1, module: ({ defineModule, iq, ConfigError }) => defineModule({
      name: "outside", about: "Nothing.", setup() { ${setup} } }) };`;
  const twice = 'return [iq.get("server", "urn:xmpp:ping", "ping", async () => undefined)];';
  const taken = await faultOf(`modules.external=${await file("a.mjs", module(twice))}`);
  expect(taken).toContain("urn:xmpp:ping");
  const refuses = 'throw new ConfigError("Cannot use modules.outside: no");';
  const refused = await faultOf(`modules.external=${await file("b.mjs", module(refuses))}`);
  expect(refused).toBe("Cannot use modules.outside: no");
});
