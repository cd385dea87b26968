import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { FakeClock } from "../../base/fake-clock.ts";
import { silentLog } from "../../base/log.ts";
import { systemRandom } from "../../base/random.ts";
import type { WebServer, WebTimeouts } from "../web.ts";
import { openWeb } from "../web.ts";
import type { Uploads } from "./contract.ts";
import { UPLOAD_PATH } from "./contract.ts";
import type { UploadOptions } from "./open.ts";
import { openUploads } from "./open.ts";

const USER = "romeo@capulet.example";
const PNG = Buffer.from("not really a picture");
const KEY = Buffer.from("secret");
const WEB = { port: 0, url: "http://127.0.0.1" };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "zonda-upload-"));
});
afterAll(() => rm(folder, { recursive: true }));

const options = (more: Partial<UploadOptions> = {}): UploadOptions => ({
  engine: "directory",
  fileBytesMax: 1_000_000,
  userBytesMax: 10_000_000,
  userFilesMax: 10,
  keepDays: 30,
  directory: { path: path.join(folder, "files"), freeBytesMin: 0 },
  s3: {},
  ...more,
});

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: Buffer;
}

interface Kit {
  readonly clock: FakeClock;
  readonly uploads: Uploads;
  readonly web: WebServer;
  readonly stored: string[];
}

async function open(
  more: Partial<UploadOptions> = {},
  timeouts: WebTimeouts = { headersMs: 10_000, requestMs: 20_000, checkMs: 2_000 },
): Promise<Kit> {
  const clock = new FakeClock();
  const surroundings = { key: KEY, web: WEB, clock, random: systemRandom, log: silentLog };
  const uploads = await openUploads(options(more), surroundings);
  if (uploads?.path === undefined) throw new Error("No uploads");
  const stored: string[] = [];
  uploads.watch(async (user, id) => void stored.push(`${user} ${id}`));
  const web = await openWeb({
    ...{ host: "127.0.0.1", port: 0, tls: undefined, trustedProxies: [], connectionsMax: 100 },
    timeouts,
    // Whoever stands here reads all of a request before it answers.
    paths: { [UPLOAD_PATH]: uploads.path, "/other": { onRequest: () => undefined } },
    admit: () => true,
    release() {},
    onFault: (error) => {
      throw error;
    },
  });
  return { clock, uploads, web, stored };
}

async function close({ uploads, web }: Kit): Promise<void> {
  await web[Symbol.asyncDispose]();
  await uploads[Symbol.asyncDispose]();
}

/** One request, its path exactly as given. */
function ask(
  { web }: Kit,
  method: string,
  url: string,
  headers: Record<string, string> = {},
  body: Buffer = Buffer.alloc(0),
): Promise<Answer> {
  const target = url.replace("http://127.0.0.1", "");
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { host: "127.0.0.1", port: web.port, method, path: target, headers, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks),
          }),
        );
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

const put = (kit: Kit, url: string, body = PNG, headers: Record<string, string> = {}) =>
  ask(kit, "PUT", url, { "content-length": String(body.length), ...headers }, body);

describe("files in a directory", () => {
  let kit: Kit;
  beforeEach(async () => {
    kit = await open();
    return () => close(kit);
  });
  const slot = (name = "photo.png", type = "image/png", bytes = PNG.length) =>
    kit.uploads.slot({ user: USER, domain: "capulet.example", name, bytes, type });

  test("a file goes into its slot once, and comes back with its type", async () => {
    const { id, putUrl, getUrl } = await slot("très cool.png");
    expect(getUrl).toBe(`http://127.0.0.1/upload/${id}/tr%C3%A8s%20cool.png`);
    expect((await ask(kit, "GET", getUrl)).status).toBe(404);
    const stored = await put(kit, putUrl, PNG, { "content-type": "image/png" });
    expect(stored.status).toBe(201);
    expect(kit.stored).toEqual([`${USER} ${id}`]);
    const { status, headers, body } = await ask(kit, "GET", getUrl);
    expect([status, body]).toEqual([200, PNG]);
    expect(headers).toMatchObject({
      "content-type": "image/png",
      "content-disposition": "inline",
      "content-length": String(PNG.length),
      "x-content-type-options": "nosniff",
      "access-control-allow-origin": "*",
    });
    const head = await ask(kit, "HEAD", getUrl);
    expect([head.status, head.body.length]).toEqual([200, 0]);
    expect((await put(kit, putUrl, Buffer.alloc(PNG.length))).status).toBe(409);
    expect((await ask(kit, "GET", getUrl)).body).toEqual(PNG);
  });

  test.each(["text/html", "image/svg+xml", "application/javascript", ""])(
    "a file of type %j is offered for saving, not shown",
    async (type) => {
      const { putUrl, getUrl } = await slot("page.html", type);
      await put(kit, putUrl);
      expect((await ask(kit, "GET", getUrl)).headers).toMatchObject({
        "content-type": "application/octet-stream",
        "content-disposition": "attachment",
        "content-security-policy": expect.stringContaining("sandbox"),
      });
    },
  );

  test("parts of a file are read", async () => {
    const { putUrl, getUrl } = await slot("film.mp4", "video/mp4");
    await put(kit, putUrl);
    const part = async (range: string) => {
      const { status, headers, body } = await ask(kit, "GET", getUrl, { range });
      return [status, headers["content-range"], body.toString()];
    };
    const all = PNG.toString();
    expect(await part("bytes=4-9")).toEqual([206, `bytes 4-9/${PNG.length}`, all.slice(4, 10)]);
    expect(await part("bytes=4-")).toEqual([206, `bytes 4-19/${PNG.length}`, all.slice(4)]);
    expect(await part("bytes=-3")).toEqual([206, `bytes 17-19/${PNG.length}`, all.slice(-3)]);
    expect(await part("bytes=4-999")).toEqual([206, `bytes 4-19/${PNG.length}`, all.slice(4)]);
    expect(await part("bytes=20-")).toEqual([416, `bytes */${PNG.length}`, ""]);
    expect(await part("bytes=9-4")).toEqual([416, `bytes */${PNG.length}`, ""]);
    for (const range of ["bytes=1-2,4-5", "lines=1-2", "bytes=-", "bytes=x-1"]) {
      expect(await part(range)).toEqual([200, undefined, all]);
    }
  });

  test("what is not what the slot was for is refused, and nothing is kept", async () => {
    const { putUrl, getUrl } = await slot();
    const length = (bytes: number) => ({ "content-length": String(bytes) });
    const short = PNG.subarray(1);
    expect((await put(kit, putUrl, short)).status).toBe(400);
    expect((await put(kit, putUrl, Buffer.concat([PNG, PNG]))).status).toBe(400);
    expect((await put(kit, putUrl, PNG, { "content-type": "text/html" })).status).toBe(415);
    const chunked = await ask(kit, "PUT", putUrl, { "transfer-encoding": "chunked" }, PNG);
    expect(chunked.status).toBe(411);
    expect((await put(kit, getUrl)).status).toBe(403);
    expect((await put(kit, `${getUrl}?nonsense`)).status).toBe(403);
    expect((await ask(kit, "DELETE", putUrl, length(0))).status).toBe(405);
    expect((await ask(kit, "GET", getUrl)).status).toBe(404);
    expect(kit.stored).toEqual([]);
    expect((await put(kit, putUrl)).status).toBe(201); // The slot is still good.
  });

  test("a slot is void after its time", async () => {
    const { putUrl } = await slot();
    kit.clock.advance(300_001);
    expect((await put(kit, putUrl)).status).toBe(403);
  });

  test("a slot's token does not open another slot", async () => {
    const [one, other] = [await slot(), await slot()];
    const token = one.putUrl.split("?")[1];
    expect((await put(kit, `${other.getUrl}?${token}`)).status).toBe(403);
  });

  test.each([
    "/upload/",
    "/upload/../secret",
    "/upload/..%2fsecret",
    "/upload/%2e%2e/secret",
    "/upload/20000-../secret/x",
    "/upload//etc/passwd",
    "/uploads",
    "/",
  ])("nothing is at %s", async (url) => {
    await writeFile(path.join(folder, "secret"), "secret");
    expect((await ask(kit, "GET", url)).status).toBe(404);
    expect((await put(kit, url)).status).toBe(404);
  });

  test("a sender who goes away leaves nothing, and may try again", async () => {
    const { putUrl, getUrl } = await slot();
    const target = putUrl.replace("http://127.0.0.1", "");
    await new Promise<void>((resolve) => {
      const headers = { "content-length": String(PNG.length) };
      const about = { host: "127.0.0.1", port: kit.web.port, method: "PUT", path: target, headers };
      const request = httpRequest(about);
      request.on("error", () => resolve());
      request.write(PNG.subarray(0, 5), () => request.destroy());
    });
    expect((await ask(kit, "GET", getUrl)).status).toBe(404);
    // The server may still be tidying up.
    await expect.poll(async () => (await put(kit, putUrl)).status).toBe(201);
  });

  test("browsers of other pages may upload and read", async () => {
    const { status, headers } = await ask(kit, "OPTIONS", "/upload/anything");
    expect(status).toBe(204);
    expect(headers).toMatchObject({
      "access-control-allow-origin": "*",
      "access-control-allow-methods": expect.stringContaining("PUT"),
    });
  });

  test("a file is removed before its time, once or more", async () => {
    const { id, putUrl, getUrl } = await slot();
    await put(kit, putUrl);
    await kit.uploads.remove([id, id, "no name of ours"]);
    expect((await ask(kit, "GET", getUrl)).status).toBe(404);
  });

  test("files go when their time is over", async () => {
    const { id, putUrl, getUrl } = await slot();
    await put(kit, putUrl);
    const root = path.join(folder, "files");
    const [day = ""] = id.split("-");
    expect(await readdir(root)).toContain(day);
    kit.clock.advance(32 * 86_400_000);
    expect((await ask(kit, "GET", getUrl)).status).toBe(404);
    const afterAnHour = () => {
      kit.clock.advance(3_600_000);
      return readdir(root);
    };
    await expect.poll(afterAnHour).not.toContain(day);
  });
});

test("a request for something else may not take as long as a file", async () => {
  const kit = await open({}, { headersMs: 200, requestMs: 300, checkMs: 50 });
  const answer = await ask(kit, "POST", "/other", { "content-length": "10" }, Buffer.from("short"));
  expect(answer.status).toBe(408);
  await close(kit);
});

test("a disk without room takes no file", async () => {
  const directory = { path: path.join(folder, "full"), freeBytesMin: Number.MAX_SAFE_INTEGER };
  const kit = await open({ directory });
  const asked = { user: USER, domain: "x.example", name: "a", bytes: PNG.length, type: "" };
  const { putUrl } = await kit.uploads.slot(asked);
  expect((await put(kit, putUrl)).status).toBe(507);
  await close(kit);
});

test("a large file goes through without being held", async () => {
  const kit = await open({ fileBytesMax: 64_000_000 });
  const large = Buffer.alloc(32_000_000, "x");
  const asked = { user: USER, domain: "x.example", name: "a", bytes: large.length, type: "" };
  const { putUrl, getUrl } = await kit.uploads.slot(asked);
  expect((await put(kit, putUrl, large)).status).toBe(201);
  expect((await ask(kit, "GET", getUrl)).body.equals(large)).toBe(true);
  await close(kit);
});

const s3 = {
  endpoint: "https://s3.example",
  region: "eu-west-1",
  bucket: "files",
  prefix: "uploads/",
  accessKeyId: "AKID",
  secretAccessKey: "secret",
};

test("with a bucket, clients put files there, and a node leads readers there", async () => {
  const kit = await open({ engine: "s3", s3 });
  const asked = { user: USER, domain: "x.example", name: "a b.png", bytes: 7, type: "image/png" };
  const { id, putUrl, getUrl } = await kit.uploads.slot(asked);
  const target = new URL(putUrl);
  expect(target.origin + target.pathname).toBe(`https://s3.example/files/uploads/${id}`);
  expect(target.searchParams.get("X-Amz-SignedHeaders")).toBe("content-length;content-type;host");
  const { status, headers } = await ask(kit, "GET", getUrl);
  expect(status).toBe(307);
  const location = new URL(String(headers.location));
  expect(location.pathname).toBe(`/files/uploads/${id}`);
  expect(location.searchParams.get("response-content-type")).toBe("image/png");
  expect((await ask(kit, "GET", getUrl.replace("/a%20b", "x/a%20b"))).status).toBe(404);
  expect((await ask(kit, "PUT", getUrl)).status).toBe(405);
  await close(kit);
});

test("a file is removed from a bucket, and a bucket that refuses is no success", async () => {
  const asked: string[] = [];
  let status = 204;
  const bucket = createServer((request, response) => {
    asked.push(`${request.method} ${request.url?.split("?")[0]}`);
    response.writeHead(status).end();
  });
  await new Promise<void>((resolve) => bucket.listen(0, "127.0.0.1", resolve));
  const { port } = bucket.address() as AddressInfo;
  const kit = await open({ engine: "s3", s3: { ...s3, endpoint: `http://127.0.0.1:${port}` } });
  await kit.uploads.remove(["id/a%20b.png"]);
  expect(asked).toEqual(["DELETE /files/uploads/id/a%20b.png"]);
  status = 404;
  await kit.uploads.remove(["id/gone.png"]);
  status = 403;
  await expect(kit.uploads.remove(["id/kept.png"])).rejects.toThrow(/the bucket says 403/);
  await close(kit);
  bucket.close();
});

test("a public bucket is read without us", async () => {
  const clock = new FakeClock();
  const surroundings = {
    key: KEY,
    web: {},
    clock,
    random: systemRandom,
    log: silentLog,
  };
  const publicUrl = "https://cdn.example/";
  const uploads = await openUploads(
    options({ engine: "s3", s3: { ...s3, publicUrl } }),
    surroundings,
  );
  const asked = { user: USER, domain: "x.example", name: "a.png", bytes: 7, type: "image/png" };
  const slot = await uploads?.slot(asked);
  expect(slot?.getUrl).toBe(`https://cdn.example/uploads/${slot?.id}`);
  expect(uploads?.path).toBeUndefined();
});

test.each([
  ["a directory without a listener", {}, {}, /web.port/],
  ["a bucket without a name", { engine: "s3", s3: { ...s3, bucket: undefined } }, WEB, /bucket/],
  ["a bucket at no URL", { engine: "s3", s3: { ...s3, endpoint: "x" } }, WEB, /endpoint/],
] as const)("%s keeps the node from starting", async (_what, more, web, why) => {
  const surroundings = { key: KEY, web, clock: new FakeClock(), random: systemRandom };
  const opened = openUploads(options(more), { ...surroundings, log: silentLog });
  await expect(opened).rejects.toThrow(why);
});
