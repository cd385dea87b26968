/**
 * Files in a directory: one folder for each day on which files go, in it for each file its bytes
 * and, beside them, its media type. A file appears when it is whole. Nodes may share the directory.
 */
import { createReadStream, createWriteStream } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import {
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  statfs,
  writeFile,
} from "node:fs/promises";
import path from "node:path";
import type { Readable } from "node:stream";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ConfigError } from "../../base/errors.ts";
import { DAY_MS } from "./names.ts";

export type Written = "stored" | "exists" | "wrong-size" | "full";

export interface KeptFile {
  readonly bytes: number;
  readonly type: string;
  /** @param start, end of the part, both inclusive */
  read(start: number, end: number): Readable;
}

class WrongSize extends Error {}

export class UploadDirectory {
  readonly #root: string;
  readonly #freeBytesMin: number;

  private constructor(root: string, freeBytesMin: number) {
    this.#root = root;
    this.#freeBytesMin = freeBytesMin;
  }

  /** @throws ConfigError when the directory cannot be used */
  static async open(root: string, freeBytesMin: number): Promise<UploadDirectory> {
    try {
      await mkdir(root, { recursive: true, mode: 0o700 });
    } catch (error) {
      const why = (error as Error).message;
      throw new ConfigError(`Cannot use upload.directory: ${why}`, { cause: error });
    }
    return new UploadDirectory(root, freeBytesMin);
  }

  /**
   * Takes a file as it comes, never more of it than fits a buffer.
   * @param id a name that Names has checked: no path can be in it
   */
  async write(
    day: number,
    id: string,
    body: Readable,
    bytes: number,
    type: string,
  ): Promise<Written> {
    const folder = path.join(this.#root, String(day));
    const file = path.join(folder, id);
    if (await this.#isFull(bytes)) return "full";
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if (await exists(file)) return "exists";
    const part = `${file}.part`;
    let handle: FileHandle;
    try {
      handle = await open(part, "wx", 0o600); // Whoever is first.
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return "exists";
      throw error;
    }
    try {
      await pipeline(body, exactly(bytes), createWriteStream("", { fd: handle, flush: true }));
      await writeFile(`${file}.type`, type, { mode: 0o600 });
      await rename(part, file);
      return "stored";
    } catch (error) {
      await rm(part, { force: true });
      if (error instanceof WrongSize) return "wrong-size";
      if ((error as NodeJS.ErrnoException).code === "ENOSPC") return "full";
      throw error;
    }
  }

  async find(day: number, id: string): Promise<KeptFile | undefined> {
    const file = path.join(this.#root, String(day), id);
    try {
      const { size } = await stat(file);
      const type = await readFile(`${file}.type`, "utf8");
      return { bytes: size, type, read: (start, end) => createReadStream(file, { start, end }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  async remove(day: number, id: string): Promise<void> {
    const file = path.join(this.#root, String(day), id);
    for (const one of [file, `${file}.type`, `${file}.part`]) await rm(one, { force: true });
  }

  /** Removes the files whose day is over. How many days' folders went. */
  async sweep(nowMs: number): Promise<number> {
    const today = Math.floor(nowMs / DAY_MS);
    const old = (await readdir(this.#root)).filter(
      (name) => /^\d{1,6}$/.test(name) && Number(name) < today,
    );
    for (const name of old) await rm(path.join(this.#root, name), { recursive: true, force: true });
    return old.length;
  }

  async #isFull(bytes: number): Promise<boolean> {
    const { bavail, bsize } = await statfs(this.#root);
    return bavail * bsize - bytes < this.#freeBytesMin;
  }
}

const exists = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  );

/** Passes on so many bytes, and fails with any other number of them. */
function exactly(bytes: number): Transform {
  let seen = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      seen += chunk.length;
      if (seen > bytes) done(new WrongSize());
      else done(null, chunk);
    },
    flush: (done) => done(seen === bytes ? null : new WrongSize()),
  });
}
