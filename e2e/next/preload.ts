/** `node --import e2e/next/preload.ts node/cli.ts ...` runs this tree's next release: changes.ts. */
import { registerHooks } from "node:module";
import { CHANGES, changed } from "./changes.ts";

const base = new URL("../../node/", import.meta.url).href;
const files = new Map(CHANGES.map(({ file }) => [new URL(file, base).href, file]));

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const file = files.get(url);
    if (file === undefined) return loaded;
    const source = Buffer.from(loaded.source as Uint8Array).toString("utf8");
    return { ...loaded, source: changed(file, source) };
  },
});
