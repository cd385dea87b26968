/** XEP-0363 with a bucket of a real S3 server, which checks what a slot's URL was signed for. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { presigner } from "../../node/http/upload/s3-urls.ts";
import { RawClient } from "../../node/session/testing/raw-client.ts";
import type { NodeProcess } from "../harness/node-process.ts";
import { runCommand, startNodeProcess } from "../harness/node-process.ts";
import { freePort } from "../harness/ports.ts";
import type { S3Server } from "../harness/s3.ts";
import { startS3 } from "../harness/s3.ts";

const PASSWORD = "secret";
const NS = "urn:xmpp:http:upload:0";
const PNG = Buffer.from("not really a picture");
const BUILDING_MS = 1_200_000;

let data: string;
let s3: S3Server;
let node: NodeProcess;
const clients: RawClient[] = [];

beforeAll(async () => {
  data = await mkdtemp(path.join(tmpdir(), "zonda-upload-"));
  s3 = await startS3();
  const web = await freePort();
  const { endpoint, region, bucket, accessKeyId, secretAccessKey } = s3;
  const bucketIs = Object.entries({ endpoint, region, bucket, accessKeyId, secretAccessKey });
  node = await startNodeProcess({
    sets: [
      ...[`data=${data}`, "c2s.port=0", "c2s.host=127.0.0.1", "http.port=0", "log.format=json"],
      ...["c2s.tls=offered", "c2s.plaintextAuthOnLoopback=true"],
      ...[`web.port=${web}`, "web.host=127.0.0.1", "web.tls=false"],
      ...[`web.url=http://127.0.0.1:${web}`, "upload.engine=s3", "upload.s3.prefix=of/users/"],
      ...["upload.fileBytesMax=2000", "upload.userBytesMax=3000", "upload.userFilesMax=3"],
      ...bucketIs.map(([name, value]) => `upload.s3.${name}=${value}`),
    ],
  });
}, BUILDING_MS);

afterAll(async () => {
  for (const client of clients) client.destroy();
  await node[Symbol.asyncDispose]();
  await s3.stop();
  await rm(data, { recursive: true });
});

async function login(name: string): Promise<RawClient> {
  const words = ["user", "add", `${name}@localhost`, "--set", `data=${data}`];
  expect((await runCommand(words, `${PASSWORD}\n`)).code).toBe(0);
  const client = await RawClient.connect(node.c2s);
  clients.push(client);
  await client.open();
  client.plain(name, PASSWORD);
  await client.read(/<success[^>]*>/);
  await client.open();
  await client.bind("phone");
  return client;
}

async function ask(client: RawClient, name: string, size: number, type = ""): Promise<string> {
  const attributes = `filename='${name}' size='${size}'${type && ` content-type='${type}'`}`;
  client.send(
    `<iq type='get' id='slot' to='localhost'><request xmlns='${NS}' ${attributes}/></iq>`,
  );
  return await client.read(/<iq .*?<\/iq>/s);
}

interface Urls {
  readonly put: string;
  readonly get: string;
}

async function slot(
  client: RawClient,
  name: string,
  type: string,
  size = PNG.length,
): Promise<Urls> {
  const answer = await ask(client, name, size, type);
  const [put = "", get = ""] = ["put", "get"].map((which) =>
    new RegExp(`<${which} url=['"]([^'"]+)`).exec(answer)?.[1]?.replaceAll("&amp;", "&"),
  );
  expect(new URL(put).origin).toBe(s3.endpoint);
  return { put, get };
}

const put = async (url: string, body: Buffer, type: string): Promise<number> => {
  const response = await fetch(url, { method: "PUT", body, headers: { "content-type": type } });
  await response.arrayBuffer();
  return response.status;
};

test.each(["photo.png", "très cool (1)*!'&amp;+~.png"])(
  "%s goes into the bucket and comes back from it, by the node's URL",
  async (name) => {
    const client = await login(`romeo-${name.length}`);
    const urls = await slot(client, name.replace("'", "&apos;"), "image/png");
    expect((await fetch(urls.get)).status).toBe(404);
    expect(await put(urls.put, PNG, "image/png")).toBe(200);
    const response = await fetch(urls.get);
    expect(response.url.startsWith(`${s3.endpoint}/${s3.bucket}/of/users/`)).toBe(true);
    expect(Buffer.from(await response.arrayBuffer())).toEqual(PNG);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "image/png",
      "content-disposition": "inline",
    });
    const part = await fetch(urls.get, { headers: { range: "bytes=4-9" } });
    expect([part.status, await part.text()]).toEqual([206, PNG.subarray(4, 10).toString()]);
  },
);

test("a page is not served as one", async () => {
  const urls = await slot(await login("mercutio"), "page.html", "text/html");
  expect(await put(urls.put, PNG, "text/html")).toBe(200);
  expect(Object.fromEntries((await fetch(urls.get)).headers)).toMatchObject({
    "content-type": "application/octet-stream",
    "content-disposition": "attachment",
  });
});

test("the bucket takes nothing else than what the slot was for", async () => {
  const urls = await slot(await login("tybalt"), "photo.png", "image/png");
  expect(await put(urls.put, PNG.subarray(1), "image/png")).toBe(403);
  expect(await put(urls.put, Buffer.concat([PNG, PNG]), "image/png")).toBe(403);
  expect(await put(urls.put, PNG, "text/html")).toBe(403);
  expect(await put(urls.put.replace("photo.png", "other.png"), PNG, "image/png")).toBe(403);
  const last = urls.put.at(-1) === "0" ? "1" : "0";
  expect(await put(urls.put.slice(0, -1) + last, PNG, "image/png")).toBe(403);
  expect(await put(urls.put.split("?")[0] as string, PNG, "image/png")).toBe(403);
  expect((await fetch(urls.put)).status).toBe(403); // To put is not to read.
  expect((await fetch(urls.get)).status).toBe(404);
  expect(await put(urls.put, PNG, "image/png")).toBe(200);
});

test("a slot's URL and a reader's are void when their time is over", async () => {
  const presign = presigner(s3);
  const signed = async (method: "GET" | "PUT", agoMs: number) => {
    const { href } = await presign({
      method,
      url: new URL(`${s3.endpoint}/${s3.bucket}/late.png`),
      headers: method === "PUT" ? { "content-length": String(PNG.length) } : {},
      nowMs: Date.now() - agoMs,
      seconds: 300,
    });
    return href;
  };
  expect(await put(await signed("PUT", 301_000), PNG, "image/png")).toBe(403);
  expect((await fetch(await signed("GET", 0))).status).toBe(404);
  expect(await put(await signed("PUT", 0), PNG, "image/png")).toBe(200);
  expect((await fetch(await signed("GET", 301_000))).status).toBe(403);
  expect((await fetch(await signed("GET", 0))).status).toBe(200);
});

test("a user gets no slot for a file that is too large, or for more than there is room for", async () => {
  const client = await login("paris");
  expect(await ask(client, "large", 2_001)).toContain("<max-file-size>2000</max-file-size>");
  await slot(client, "one", "", 2_000);
  expect(await ask(client, "two", 1_001)).toContain("<resource-constraint ");
  await slot(client, "two", "", 1);
  await slot(client, "three", "", 1);
  expect(await ask(client, "four", 1)).toContain("<resource-constraint ");
});

test("an account that is deleted takes its files out of the bucket", async () => {
  const client = await login("rosaline");
  const urls = await slot(client, "photo.png", "image/png");
  expect(await put(urls.put, PNG, "image/png")).toBe(200);
  expect((await fetch(urls.get)).status).toBe(200);
  client.send("<iq type='set' id='end'><query xmlns='jabber:iq:register'><remove/></query></iq>");
  await client.read(/<iq [^>]*type=['"]result['"]/);
  await expect.poll(async () => (await fetch(urls.get)).status).toBe(404);
});
