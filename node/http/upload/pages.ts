/** What a node answers below /upload/: files are put into slots, and read by whoever knows the name. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import type { Clock } from "../../base/clock.ts";
import type { WebPath } from "../web.ts";
import { SENDING_MS, UPLOAD_PATH } from "./contract.ts";
import type { UploadDirectory, Written } from "./directory.ts";
import { COMMON, fileHeaders, mediaType, partOf } from "./headers.ts";
import type { Claim, Names } from "./names.ts";
import { DAY_MS } from "./names.ts";

export interface PageParts {
  readonly names: Names;
  readonly directory: UploadDirectory;
  readonly clock: Clock;
  stored(user: string, id: string): Promise<void>;
}

/** What a request names. */
interface Target {
  readonly id: string;
  /** The file goes after it. */
  readonly day: number;
  readonly token: string;
}

const STATUS: Readonly<Record<Written, number>> = {
  stored: 201,
  exists: 409,
  "wrong-size": 400,
  full: 507,
};

export function uploadPages(parts: PageParts): WebPath {
  return {
    bodyMs: SENDING_MS,
    async onRequest(request, response) {
      const { method } = request;
      if (method === "OPTIONS") return answer(response, 204);
      const target = targetOf(request, parts.names);
      if (target === undefined) return answer(response, 404);
      if (method === "GET" || method === "HEAD")
        return await show(parts, target, request, response);
      if (method === "PUT") return await put(parts, target, request, response);
      response.setHeader("allow", "GET, HEAD, PUT, OPTIONS");
      return answer(response, 405);
    },
  };
}

function targetOf({ url = "" }: IncomingMessage, names: Names): Target | undefined {
  const [path = "", token = ""] = url.split("?", 2);
  const [id = ""] = path.slice(UPLOAD_PATH.length).split("/", 1);
  const day = names.dayOf(id);
  return day === undefined ? undefined : { id, day, token };
}

function answer(response: ServerResponse, status: number, headers: Record<string, string> = {}) {
  response.writeHead(status, { ...COMMON, "content-length": "0", ...headers });
  response.end();
}

async function show(
  { directory, clock }: PageParts,
  { id, day }: Target,
  { method, headers }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const isOver = day * DAY_MS + DAY_MS <= clock.nowMs();
  const file = isOver ? undefined : await directory.find(day, id);
  if (file === undefined) return answer(response, 404);
  const { bytes, type } = file;
  const part = partOf(headers.range, bytes);
  if (part === "none") return answer(response, 416, { "content-range": `bytes */${bytes}` });
  const { start, end } = part ?? { start: 0, end: bytes - 1 };
  response.writeHead(part === undefined ? 200 : 206, {
    ...COMMON,
    ...fileHeaders(type),
    "content-length": String(end - start + 1),
    ...(part !== undefined && { "content-range": `bytes ${start}-${end}/${bytes}` }),
  });
  if (method === "HEAD") response.end();
  else await pipeline(file.read(start, end), response).catch(isGone);
}

/** The reader went away: nobody is left to tell. */
function isGone(error: NodeJS.ErrnoException): void {
  const codes = ["ERR_STREAM_PREMATURE_CLOSE", "ECONNRESET", "EPIPE"];
  if (!codes.includes(error.code ?? "")) throw error;
}

/** Why a request may not put its body there. */
function refusalOf(claim: Claim | undefined, { headers }: IncomingMessage, nowMs: number) {
  if (claim === undefined || claim.untilMs < nowMs) return 403;
  const length = headers["content-length"];
  if (length === undefined) return 411;
  // XEP-0363, 6: exactly what was asked for.
  if (Number(length) !== claim.bytes) return 400;
  const said = mediaType(headers["content-type"] ?? "");
  return claim.type !== "" && said !== "" && said !== claim.type ? 415 : undefined;
}

async function put(
  parts: PageParts,
  { id, day, token }: Target,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const claim = parts.names.claimIn(token, id);
  const refusal = refusalOf(claim, request, parts.clock.nowMs());
  // What is not read would be taken for the next request.
  if (claim === undefined || refusal !== undefined) {
    return answer(response, refusal ?? 403, { connection: "close" });
  }
  const type = claim.type === "" ? mediaType(request.headers["content-type"] ?? "") : claim.type;
  let outcome: Written;
  try {
    outcome = await parts.directory.write(day, id, request, claim.bytes, type);
  } catch (error) {
    if (request.destroyed && !request.complete) return; // The sender went away.
    throw error;
  }
  if (outcome === "stored") await parts.stored(claim.user, id);
  answer(response, STATUS[outcome], outcome === "stored" ? {} : { connection: "close" });
}
