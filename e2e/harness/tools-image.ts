/** An image with a shell and small network tools; it also holds pods' namespaces open. */
import { copyFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { buildImage, saveImage } from "./buildah.ts";
import { cached } from "./cache.ts";
import { find, requireTools } from "./tools.ts";

export interface Image {
  /** What pods name it. */
  readonly ref: string;
  /** Path of it as a docker-archive. */
  readonly tar: string;
}

const REF = "zonda-tools:1";
const BUSYBOX = {
  command: "busybox",
  debian: "busybox-static",
  advice: "install a static one (Debian: apt-get install busybox-static)",
};
const CONTAINERFILE = `FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "/bin"]
USER 10001:10001
CMD ["/bin/sleep", "2147483647"]
`;

/** Builds the image, unless it is in the cache. */
export async function toolsImage(): Promise<Image> {
  const folder = await cached({
    name: "tools-image",
    about: "the tools image",
    inputs: [REF, CONTAINERFILE],
    make: async (draft) => {
      await requireTools([BUSYBOX]);
      await copyFile(find("busybox") ?? "busybox", path.join(draft, "busybox"));
      const containerfile = path.join(draft, "Containerfile");
      await writeFile(containerfile, CONTAINERFILE);
      const ref = `localhost/${REF}`;
      await buildImage({ ref, containerfile, context: draft });
      await saveImage(ref, path.join(draft, "image.tar"), REF);
    },
  });
  return { ref: REF, tar: path.join(folder, "image.tar") };
}
