/** Writes crds/xmppcluster.yaml and the chart's copy: run it after a change in spec.ts or status.ts. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { crdFiles } from "./crd-files.ts";

const root = join(import.meta.dirname, "../..");
for (const [path, text] of Object.entries(crdFiles())) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}
