/** The images of a node and of the operator, built from this checkout. */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { baseImage } from "./base-image.ts";
import { buildImage, saveImage } from "./buildah.ts";
import { productionDependencies } from "./dependencies.ts";
import { progress } from "./progress.ts";
import { run } from "./run.ts";
import type { Image } from "./tools-image.ts";

export interface Images {
  readonly node: Image;
  readonly operator: Image;
}

export interface ImagesOptions {
  /** Written into package.json; what nodes say they are, and the tag. "0.1.0" */
  readonly version: string;
  /** Folder for the archives; made when it is not there. */
  readonly outDir: string;
}

const ROOT = path.join(import.meta.dirname, "..", "..");

/** What each image carries of this checkout, and what of the packages it has no use for. */
const PARTS = {
  node: { sources: ["node"], unused: ["@kubernetes"] },
  operator: { sources: ["operator", "node/config", "node/base"], unused: [] },
} as const;

export type Part = keyof typeof PARTS;

const isShipped = (file: string): boolean =>
  !/\.test\.ts$|\.suite\.ts$|Containerfile/.test(file) && path.basename(file) !== "testing";

/** Builds both images. */
export async function buildImages(options: ImagesOptions): Promise<Images> {
  return { node: await buildPart("node", options), operator: await buildPart("operator", options) };
}

/** Builds one image. What did not change since the last time is taken from there. */
export async function buildPart(part: Part, options: ImagesOptions): Promise<Image> {
  const { version } = options;
  const base = await baseImage();
  const dependencies = await productionDependencies();
  await mkdir(options.outDir, { recursive: true });
  const name = `zonda-${part}:${version}`;
  const done = progress(`Building image ${name}`);
  const ref = `localhost/${name}`;
  const tar = path.resolve(options.outDir, `zonda-${part}-${version}.tar`);
  const context = await mkdtemp(path.join(path.dirname(dependencies), ".image-"));
  try {
    await stage(context, part, version, dependencies);
    const containerfile = path.join(ROOT, part, "Containerfile");
    const buildArguments = { BASE: base, SYSTEM: base, VERSION: version };
    await buildImage({ ref, containerfile, context, buildArguments });
    await rm(tar, { force: true }); // An archive is not overwritten.
    await saveImage(ref, tar, name);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
  done();
  return { ref: name, tar };
}

/** Lays out what the Containerfile copies. */
async function stage(
  context: string,
  part: Part,
  version: string,
  dependencies: string,
): Promise<void> {
  const { sources, unused } = PARTS[part];
  // Hard links: thousands of small files are not worth copying.
  await run("cp", ["-al", path.join(dependencies, "node_modules"), context]);
  for (const name of unused) {
    await rm(path.join(context, "node_modules", name), { recursive: true, force: true });
  }
  for (const source of sources) {
    await cp(path.join(ROOT, source), path.join(context, source), {
      recursive: true,
      preserveTimestamps: true,
      filter: isShipped,
    });
  }
  const manifest = JSON.parse(await readFile(path.join(ROOT, "package.json"), "utf8")) as object;
  await writeFile(path.join(context, "package.json"), JSON.stringify({ ...manifest, version }));
}
