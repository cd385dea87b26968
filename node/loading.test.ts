/** What a node has in memory only where it is needed. A process of its own loads it as it is run. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

/** Says, for each step, how many files of the library that signs URLs for buckets are loaded. */
const SCRIPT = `
import { registerHooks } from "node:module";
let files = 0;
registerHooks({
  load(url, context, nextLoad) {
    if (url.includes("/node_modules/@smithy/")) files += 1;
    return nextLoad(url, context);
  },
});
const said = {};
await import("./node/main.ts");
said.main = files;
const { openUploads } = await import("./node/http/upload/open.ts");
const surroundings = { key: Buffer.alloc(32), web: { port: 443 } };
const limits = { fileBytesMax: 1, userBytesMax: 1, userFilesMax: 1, keepDays: 1 };
await openUploads({ engine: "none", ...limits, s3: {} }, surroundings);
said.none = files;
const s3 = { endpoint: "https://s3.example", region: "", bucket: "b", accessKeyId: "k", secretAccessKey: "s" };
await openUploads({ engine: "s3", ...limits, s3 }, surroundings);
said.bucket = files;
process.stdout.write(JSON.stringify(said));
`;

test("the library that signs URLs of a bucket is loaded where there is one", async () => {
  const words = ["--input-type=module", "--eval", SCRIPT];
  const { stdout } = await promisify(execFile)(process.execPath, words);
  const { main, none, bucket } = JSON.parse(stdout) as Record<string, number>;
  expect({ main, none }).toEqual({ main: 0, none: 0 });
  expect(bucket).toBeGreaterThan(0);
});
