/**
 * The base of our images where none can be pulled: the pinned Node, the shared libraries it needs,
 * jemalloc, HAProxy, the certificates of public authorities, and a user without rights. No shell, nothing
 * else.
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

/** Where each file comes from, by where it is wanted. Symlinks are followed when copying. */
type Files = Readonly<Record<string, string>>;

/** The libraries a program loads. */
async function librariesOf(program: string, folder: string): Promise<readonly string[]> {
  const output = await run("ldd", [program], { environment: { LD_LIBRARY_PATH: folder } });
  return [...output.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1] as string);
}

/** Node, what Debian's packages have for the node's Containerfile, and what both load. */
async function system(): Promise<Files> {
  const debian = await peerPackages();
  const folder = await libraryFolder(debian);
  const haproxy = path.join(debian, "usr/sbin/haproxy");
  const libraries = [
    ...(await librariesOf(process.execPath, folder)),
    ...(await librariesOf(haproxy, folder)),
  ].map((file) => [file.startsWith(debian) ? file.slice(debian.length) : file, file] as const);
  return {
    ...Object.fromEntries(libraries),
    "/usr/local/bin/node": process.execPath,
    "/usr/sbin/haproxy": haproxy,
    "/allocator/libjemalloc.so.2": path.join(folder, "libjemalloc.so.2"),
    ...(existsSync(AUTHORITIES) && { [AUTHORITIES]: AUTHORITIES }),
  };
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

async function fill(root: string, files: Files): Promise<void> {
  for (const [to, from] of Object.entries(files)) {
    const target = path.join(root, to);
    await mkdir(path.dirname(target), { recursive: true });
    await copyFile(from, target);
  }
  for (const [file, text] of Object.entries(TEXTS)) {
    await mkdir(path.dirname(path.join(root, file)), { recursive: true });
    await writeFile(path.join(root, file), text);
  }
  await mkdir(path.join(root, "tmp"));
  await chmod(path.join(root, "tmp"), 0o1777);
}

/** Builds the base image unless it is there. @returns its reference in buildah's storage */
export async function baseImage(): Promise<string> {
  const files = await system();
  const digests = await Promise.all(Object.values(files).map(digestOf));
  const wanted = Object.keys(files).join(" ");
  const inputs = [...digests, wanted, JSON.stringify(TEXTS), CONTAINERFILE];
  const ref = `localhost/zonda-base:${keyOf(inputs)}`;
  const folder = await cached({
    name: "base-image",
    about: "the base image",
    inputs,
    make: async (draft) => {
      await fill(path.join(draft, "root"), files);
      const containerfile = path.join(draft, "Containerfile");
      await writeFile(containerfile, CONTAINERFILE);
      await buildImage({ ref, containerfile, context: draft });
      await saveImage(ref, path.join(draft, "image.tar"));
    },
  });
  await restoreImage(ref, path.join(folder, "image.tar"));
  return ref;
}
