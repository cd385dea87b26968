/** All of it, by feature; each is in the file of that name. */
import { bosh } from "./bosh.ts";
import { captcha } from "./captcha.ts";
import { components } from "./components.ts";
import type { BadInput } from "./contract.ts";
import { upload } from "./upload.ts";
import { websocket } from "./websocket.ts";

export const AT_OTHER_DOORS: Readonly<Record<string, readonly BadInput[]>> = {
  bosh,
  captcha,
  components,
  upload,
  websocket,
};
