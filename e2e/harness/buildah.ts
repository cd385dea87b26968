/** Building container images with buildah: no daemon, no registry. */
import path from "node:path";
import { cacheRoot } from "./cache-root.ts";
import { run } from "./run.ts";
import type { Tool } from "./tools.ts";
import { find, requireTools } from "./tools.ts";

const BUILDAH: Tool = {
  command: "buildah",
  debian: "buildah",
  advice: "install it (Debian: apt-get install buildah)",
};

export interface ImageBuild {
  /** "localhost/zonda-node:0.1.0"; without a host, buildah would ask registries. */
  readonly ref: string;
  readonly containerfile: string;
  /** The folder that COPY reads from. */
  readonly context: string;
  readonly buildArguments?: Readonly<Record<string, string>>;
}

async function buildah(args: readonly string[]): Promise<string> {
  await requireTools([BUILDAH]);
  const storage = path.join(cacheRoot(), "buildah");
  // Where overlayfs can not be mounted (some containers), STORAGE_DRIVER=vfs does it slowly.
  const driver = ["--storage-driver", process.env.STORAGE_DRIVER ?? "overlay"];
  const roots = ["--root", path.join(storage, "root"), "--runroot", path.join(storage, "run")];
  return run(find("buildah") ?? "buildah", [...driver, ...roots, ...args]);
}

/** Builds an image into our own storage; layers that did not change are taken from there. */
export async function buildImage(build: ImageBuild): Promise<void> {
  const { ref, containerfile, context, buildArguments = {} } = build;
  const extra = Object.entries(buildArguments).flatMap(([k, v]) => ["--build-arg", `${k}=${v}`]);
  const how = ["--isolation", "chroot", "--layers", "--pull-never", "-q"];
  await buildah(["bud", ...how, "-t", ref, "-f", containerfile, ...extra, context]);
}

/**
 * Writes an image of our storage as a docker-archive, which every container tool can load.
 * @param name what it is called in the archive, "zonda-node:0.1.0"
 */
export async function saveImage(ref: string, tar: string, name = ref): Promise<void> {
  await buildah(["push", "-q", ref, `docker-archive:${tar}:${name}`]);
}

/** Puts an archive into our storage under the name it carries, unless `ref` is there already. */
export async function restoreImage(ref: string, tar: string): Promise<void> {
  const present = await buildah(["images", "-q", ref]).catch(() => "");
  if (present.trim() === "") await buildah(["pull", "-q", `docker-archive:${tar}`]);
}
