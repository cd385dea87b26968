/** A server with the interface of Amazon S3 that checks signatures: what `rclone serve s3` is made of, in memory. */
import path from "node:path";
import { goBuild } from "./go-build.ts";
import { freePort } from "./ports.ts";
import { startProcess } from "./process.ts";
import { scratch } from "./scratch.ts";
import type { Server } from "./server.ts";
import { serverOf } from "./server.ts";
import { isListening, waitFor } from "./wait.ts";

export interface S3Server extends Server {
  /** "http://127.0.0.1:PORT" */
  readonly endpoint: string;
  readonly region: string;
  /** There, and empty. */
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const ADDRESS = "127.0.0.1";
const KEY = { region: "eu-west-1", accessKeyId: "zonda", secretAccessKey: "a secret of the test" };
const BUCKET = "files";

/** Resolves once it takes requests. @throws Error with the end of its log */
export async function startS3(): Promise<S3Server> {
  const programs = await goBuild({
    name: "s3",
    about: "gofakes3 0.0.12 (about 1 minute the first time)",
    packages: ["."],
    sources: ["main.go"],
  });
  const place = await scratch("s3");
  const port = await freePort();
  const running = await startProcess({
    name: "s3",
    command: path.join(programs, "s3"),
    args: [`${ADDRESS}:${port}`, BUCKET],
    environment: { ACCESS_KEY: KEY.accessKeyId, SECRET_KEY: KEY.secretAccessKey },
    log: path.join(place.folder, "s3.log"),
  });
  const server = serverOf(running, place);
  try {
    const ask = async () => (await isListening(ADDRESS, port)) || undefined;
    await waitFor(ask, { what: "s3", deadlineMs: 30_000, unless: running.failed });
  } catch (error) {
    await server.stop();
    throw error;
  }
  return { ...server, ...KEY, endpoint: `http://${ADDRESS}:${port}`, bucket: BUCKET };
}
