/**
 * The base of our images where none can be pulled: the pinned Node, the shared libraries it needs,
 * jemalloc, the certificates of public authorities, and a user without rights. No shell, nothing else.
 */
import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { chmod, copyFile, mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { buildImage, restoreImage, saveImage } from "./buildah.ts";
import { cached, keyOf } from "./cache.ts";
import { libraryFolder, peerPackages } from "./peers/packages.ts";
import { run } from "./run.ts";

const AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt";
const TEXTS = {
  "/etc/passwd": "root:x:0:0::/:/sbin/nologin\nzonda:x:10001:10001::/tmp:/sbin/nologin\n",
  "/etc/group": "root:x:0:\nzonda:x:10001:\n",
  "/etc/nsswitch.conf": "hosts: files dns\n",
};
const CONTAINERFILE = "FROM scratch\nCOPY root/ /\nENV NODE_ENV=production\n";

/** The libraries a program loads: where each is wanted. Symlinks are followed when copying. */
async function librariesOf(program: string): Promise<readonly string[]> {
  const output = await run("ldd", [program]);
  return [...output.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1] as string);
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

/** Debian's jemalloc, as the node's Containerfile takes it. */
const allocator = async (): Promise<string> =>
  path.join(await libraryFolder(await peerPackages()), "libjemalloc.so.2");

async function fill(root: string, libraries: readonly string[], malloc: string): Promise<void> {
  const copy = async (from: string, to: string) => {
    const target = path.join(root, to);
    await mkdir(path.dirname(target), { recursive: true });
    await copyFile(from, target);
  };
  await copy(process.execPath, "/usr/local/bin/node");
  for (const library of libraries) await copy(library, library);
  if (existsSync(AUTHORITIES)) await copy(AUTHORITIES, AUTHORITIES);
  await copy(malloc, "/allocator/libjemalloc.so.2");
  for (const [file, text] of Object.entries(TEXTS)) {
    await mkdir(path.dirname(path.join(root, file)), { recursive: true });
    await writeFile(path.join(root, file), text);
  }
  await mkdir(path.join(root, "tmp"));
  await chmod(path.join(root, "tmp"), 0o1777);
}

/** Builds the base image unless it is there. @returns its reference in buildah's storage */
export async function baseImage(): Promise<string> {
  const libraries = await librariesOf(process.execPath);
  const malloc = await allocator();
  const files = [process.execPath, ...libraries, malloc, ...[AUTHORITIES].filter(existsSync)];
  const digests = await Promise.all(files.map(digestOf));
  const inputs = [...digests, JSON.stringify(TEXTS), CONTAINERFILE];
  const ref = `localhost/zonda-base:${keyOf(inputs)}`;
  const folder = await cached({
    name: "base-image",
    about: "the base image",
    inputs,
    make: async (draft) => {
      await fill(path.join(draft, "root"), libraries, malloc);
      const containerfile = path.join(draft, "Containerfile");
      await writeFile(containerfile, CONTAINERFILE);
      await buildImage({ ref, containerfile, context: draft });
      await saveImage(ref, path.join(draft, "image.tar"));
    },
  });
  await restoreImage(ref, path.join(folder, "image.tar"));
  return ref;
}
