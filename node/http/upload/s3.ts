/**
 * Files in a bucket: clients put them there and read them from there by signed URLs, and no byte of
 * them passes a node. A URL for reading lasts longer than a signature may, so it is ours and leads
 * to a fresh one, unless the bucket is public.
 */
import type { Clock } from "../../base/clock.ts";
import type { WebPath } from "../web.ts";
import type { Asked, Slot, UploadLimits, Uploads } from "./contract.ts";
import { UPLOAD_PATH } from "./contract.ts";
import { COMMON, fileHeaders, typeByEnding } from "./headers.ts";
import type { Names } from "./names.ts";
import { DAY_MS, urlName } from "./names.ts";
import type { AccessKey } from "./s3-urls.ts";
import { presigner } from "./s3-urls.ts";

const READ_SECONDS = 300;
const REMOVE_MS = 10_000;

export interface S3Options extends AccessKey {
  readonly endpoint: string;
  readonly bucket: string;
  readonly prefix: string;
  readonly publicUrl?: string | undefined;
}

export interface S3Parts {
  readonly limits: UploadLimits;
  readonly options: S3Options;
  readonly names: Names;
  readonly clock: Clock;
  readonly slotMs: number;
  readonly keepMs: number;
  /** What clients reach this node by. */
  base(domain: string): string;
}

export function s3Uploads({
  limits,
  options,
  names,
  clock,
  slotMs,
  keepMs,
  base,
}: S3Parts): Uploads {
  const presign = presigner(options);
  /** @param file "<id>/<name>" */
  const keyOf = (file: string) => `${options.prefix}${file}`;
  const objectUrl = (key: string) =>
    new URL(`${options.endpoint.replace(/\/+$/, "")}/${options.bucket}/${key}`);
  async function slot({ domain, name, bytes, type }: Asked): Promise<Slot> {
    const nowMs = clock.nowMs();
    const fileUntilMs = nowMs + keepMs;
    const id = `${names.make(fileUntilMs)}/${urlName(name)}`;
    // Signed, so that the bucket takes nothing else. Clients send these by themselves.
    const headers = {
      "content-length": String(bytes),
      ...(type !== "" && { "content-type": type }),
    };
    const seconds = Math.ceil(slotMs / 1_000);
    const url = objectUrl(keyOf(id));
    const root = options.publicUrl?.replace(/\/+$/, "");
    const getUrl =
      root === undefined ? `${base(domain)}${UPLOAD_PATH}${id}` : `${root}/${keyOf(id)}`;
    const { href: putUrl } = await presign({ method: "PUT", url, headers, nowMs, seconds });
    return { id, putUrl, putHeaders: {}, getUrl, fileUntilMs, slotUntilMs: nowMs + slotMs };
  }
  async function remove(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const about = { method: "DELETE" as const, headers: {}, nowMs: clock.nowMs() };
      const url = await presign({ ...about, url: objectUrl(keyOf(id)), seconds: READ_SECONDS });
      const signal = AbortSignal.timeout(REMOVE_MS);
      const { ok, status } = await fetch(url, { method: "DELETE", signal });
      if (!ok && status !== 404) throw new Error(`Cannot remove a file: the bucket says ${status}`);
    }
  }
  const path: WebPath = {
    async onRequest({ method, url = "" }, response) {
      const rest = (url.split("?", 1)[0] as string).slice(UPLOAD_PATH.length);
      const [id = "", last = ""] = rest.split("/", 2);
      const nowMs = clock.nowMs();
      const day = names.dayOf(id);
      const isThere =
        day !== undefined && day * DAY_MS + DAY_MS > nowMs && /^[\w%.~!*'()-]+$/.test(last);
      const isRead = method === "GET" || method === "HEAD";
      if (method === "OPTIONS" || !isThere || !isRead) {
        const status = method === "OPTIONS" ? 204 : isThere ? 405 : 404;
        response.writeHead(status, { ...COMMON, "content-length": "0" }).end();
        return;
      }
      const object = objectUrl(keyOf(`${id}/${last}`));
      // Whatever the uploader said it is: the reader's browser must not run it.
      const safe = fileHeaders(typeByEnding(last));
      object.searchParams.set("response-content-type", String(safe["content-type"]));
      object.searchParams.set("response-content-disposition", String(safe["content-disposition"]));
      const about = { method: "GET" as const, headers: {}, nowMs };
      const signed = await presign({ ...about, url: object, seconds: READ_SECONDS });
      const caching = { "cache-control": "no-store", "content-length": "0" };
      response.writeHead(307, { ...COMMON, ...caching, location: signed.href }).end();
    },
  };
  return {
    limits,
    slot,
    tellsOfFiles: false,
    watch() {},
    remove,
    path: options.publicUrl === undefined ? path : undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
