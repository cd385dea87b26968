/** The name and version this program answers with (XEP-0092, metrics, node records). */
import { readFileSync } from "node:fs";

const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};

export const software = { name: "Zonda", version: manifest.version } as const;
