/** A node of the next release in the process of this one: its code is loaded once more, changed. */
import { registerHooks } from "node:module";
import type { SimNode } from "../sim/node.ts";
import { changeOnLoad } from "./hooks.ts";

const MARK = "?next";
const node = new URL("../../node/", import.meta.url).href;
/** Errors and clocks go from one to the other in one process, as they do nowhere else. */
const shared = new URL("../../node/base/", import.meta.url).href;

export async function nextRelease(): Promise<typeof SimNode> {
  registerHooks({
    resolve(specifier, context, nextResolve) {
      const resolved = nextResolve(specifier, context);
      const isNext = context.parentURL?.endsWith(MARK) === true;
      const isTwice = resolved.url.startsWith(node) && !resolved.url.startsWith(shared);
      return isNext && isTwice ? { ...resolved, url: `${resolved.url}${MARK}` } : resolved;
    },
  });
  changeOnLoad((url) => url.endsWith(MARK));
  const loaded: { readonly SimNode: typeof SimNode } = await import(`../sim/node.ts${MARK}`);
  return loaded.SimNode;
}
