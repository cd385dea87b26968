/** Uploaded files: who makes slots for them, and what keeps them. Engines: directory.ts and s3.ts. */
import type { WebPath } from "../web.ts";

/** What a user wants to upload. */
export interface Asked {
  /** Bare address. */
  readonly user: string;
  /** The domain that was asked. */
  readonly domain: string;
  readonly name: string;
  readonly bytes: number;
  /** A media type, or "". */
  readonly type: string;
}

export interface Slot {
  /** What `remove` takes. */
  readonly id: string;
  readonly putUrl: string;
  /** Headers that the client must send along. */
  readonly putHeaders: Readonly<Record<string, string>>;
  readonly getUrl: string;
  /** When the slot is void unless it was used, and when the file goes. */
  readonly slotUntilMs: number;
  readonly fileUntilMs: number;
}

export interface UploadLimits {
  readonly fileBytesMax: number;
  readonly userBytesMax: number;
  readonly userFilesMax: number;
}

export interface Uploads extends AsyncDisposable {
  readonly limits: UploadLimits;
  slot(asked: Asked): Promise<Slot>;
  /** Whether `watch` tells of files: otherwise every slot counts as used. */
  readonly tellsOfFiles: boolean;
  /** Calls `stored` when a file has arrived on this node. */
  watch(stored: (user: string, id: string) => Promise<void>): void;
  /** Removes files that have not gone by themselves. Idempotent. Rejects when it cannot. */
  remove(ids: readonly string[]): Promise<void>;
  /** What this node serves below UPLOAD_PATH; undefined when others do all of it. */
  readonly path: WebPath | undefined;
}

/** With a slash at its end: everything below is meant. */
export const UPLOAD_PATH = "/upload/";

/** How long a client may take to send a file. What a slot was used for may arrive so much later. */
export const SENDING_MS = 3_600_000;
