/** All of it, by feature; each is in the file of that name. */
import { bosh } from "./bosh.ts";
import { components } from "./components.ts";
import type { BadInput } from "./contract.ts";
import { upload } from "./upload.ts";

export const AT_OTHER_DOORS: Readonly<Record<string, readonly BadInput[]>> = {
  bosh,
  components,
  upload,
};
