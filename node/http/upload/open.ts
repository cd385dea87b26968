/** Opens the engine of uploads that the configuration names. */
import type { Clock, Timer } from "../../base/clock.ts";
import { ConfigError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { Asked, Slot, UploadLimits, Uploads } from "./contract.ts";
import { UPLOAD_PATH } from "./contract.ts";
import { UploadDirectory } from "./directory.ts";
import { DAY_MS, Names, urlName } from "./names.ts";
import { uploadPages } from "./pages.ts";
import type { S3Options } from "./s3.ts";

/** XEP-0363, 7, recommends about a minute; the slowest need a while to begin. */
const SLOT_MS = 300_000;
const SWEEP_MS = 3_600_000;

export interface UploadOptions extends UploadLimits {
  readonly engine: "none" | "directory" | "s3";
  readonly keepDays: number;
  readonly directory: { readonly path: string; readonly freeBytesMin: number };
  readonly s3: { readonly [Key in keyof S3Options]?: S3Options[Key] | undefined };
}

export interface UploadSurroundings {
  /** The same on all nodes. */
  readonly key: Buffer;
  /** The listener for web clients: no port when there is none; what it is reached by, if told. */
  readonly web: { readonly port?: number | undefined; readonly url?: string | undefined };
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Undefined where files are not taken. @throws ConfigError */
export async function openUploads(
  options: UploadOptions,
  { key, web, clock, random, log }: UploadSurroundings,
): Promise<Uploads | undefined> {
  if (options.engine === "none") return undefined;
  const port = web.port === 443 || web.port === undefined ? "" : `:${web.port}`;
  const base = (domain: string) => web.url?.replace(/\/+$/, "") ?? `https://${domain}${port}`;
  const names = new Names(key, random);
  const { fileBytesMax, userBytesMax, userFilesMax } = options;
  const limits = { fileBytesMax, userBytesMax, userFilesMax };
  const shared = { limits, names, clock, slotMs: SLOT_MS, keepMs: options.keepDays * DAY_MS, base };
  const isServing = options.engine === "directory" || options.s3.publicUrl === undefined;
  if (isServing && web.port === undefined) {
    throw new ConfigError("Cannot take uploads: web.port is needed to serve them");
  }
  if (options.engine === "s3") {
    const s3 = checked(options.s3);
    const { s3Uploads } = await import("./s3.ts"); // The vendor's library takes 14 MiB.
    return s3Uploads({ ...shared, options: s3 });
  }
  const { path, freeBytesMin } = options.directory;
  return directoryUploads({ ...shared, log }, await UploadDirectory.open(path, freeBytesMin));
}

function checked({
  bucket,
  accessKeyId,
  secretAccessKey,
  ...rest
}: UploadOptions["s3"]): S3Options {
  const { endpoint = "", region = "", prefix = "", publicUrl } = rest;
  if (bucket === undefined || accessKeyId === undefined || secretAccessKey === undefined) {
    throw new ConfigError(
      "Cannot take uploads: upload.s3 needs bucket, accessKeyId and secretAccessKey",
    );
  }
  if (!URL.canParse(endpoint)) {
    throw new ConfigError(`Cannot take uploads: upload.s3.endpoint ${endpoint} is no URL`);
  }
  return { endpoint, region, prefix, publicUrl, bucket, accessKeyId, secretAccessKey };
}

interface DirectoryParts {
  readonly limits: UploadLimits;
  readonly names: Names;
  readonly clock: Clock;
  readonly slotMs: number;
  readonly keepMs: number;
  readonly log: Logger;
  base(domain: string): string;
}

function directoryUploads(parts: DirectoryParts, directory: UploadDirectory): Uploads {
  const { limits, names, clock, slotMs, keepMs, log, base } = parts;
  let stored: (user: string, id: string) => Promise<void> = () => Promise.resolve();
  let timer: Timer | undefined;
  let isOpen = true;
  async function sweep(): Promise<void> {
    try {
      const days = await directory.sweep(clock.nowMs());
      if (days > 0) log.info({ room: "http", days }, "uploads removed");
    } catch (error) {
      log.warn({ room: "http", err: error }, "cannot remove old uploads");
    }
    if (isOpen) timer = clock.after(SWEEP_MS, () => void sweep());
  }
  void sweep();
  return {
    limits,
    async slot({ user, domain, name, bytes, type }: Asked): Promise<Slot> {
      const nowMs = clock.nowMs();
      const [slotUntilMs, fileUntilMs] = [nowMs + slotMs, nowMs + keepMs];
      const id = names.make(fileUntilMs);
      const getUrl = `${base(domain)}${UPLOAD_PATH}${id}/${urlName(name)}`;
      const token = names.token(id, { user, bytes, type, untilMs: slotUntilMs });
      return { id, putUrl: `${getUrl}?${token}`, putHeaders: {}, getUrl, slotUntilMs, fileUntilMs };
    },
    tellsOfFiles: true,
    watch(watcher) {
      stored = watcher;
    },
    async remove(ids) {
      for (const id of ids) {
        const day = names.dayOf(id);
        if (day !== undefined) await directory.remove(day, id);
      }
    },
    path: uploadPages({ names, directory, clock, stored: (user, id) => stored(user, id) }),
    async [Symbol.asyncDispose]() {
      isOpen = false;
      timer?.cancel();
    },
  };
}
