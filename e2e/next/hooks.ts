/** Loads files of node/ as the next release has them: see changes.ts. */
import { registerHooks } from "node:module";
import { CHANGES, changed } from "./changes.ts";

const base = new URL("../../node/", import.meta.url).href;
const files = new Map(CHANGES.map(({ file }) => [new URL(file, base).href, file]));

/** @param isNext whether the file of that URL, which is one that differs, is wanted so */
export function changeOnLoad(isNext: (url: string) => boolean): void {
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const file = files.get(url.replace(/\?.*$/, ""));
      if (file === undefined || !isNext(url)) return loaded;
      const source = Buffer.from(loaded.source as Uint8Array).toString("utf8");
      return { ...loaded, source: changed(file, source) };
    },
  });
}
