/** Where everything that is built once and kept lives. */
import { homedir } from "node:os";
import path from "node:path";

/** $ZONDA_CACHE, else the user's cache folder. */
export function cacheRoot(environment: NodeJS.ProcessEnv = process.env): string {
  const { ZONDA_CACHE, XDG_CACHE_HOME } = environment;
  if (ZONDA_CACHE) return path.resolve(ZONDA_CACHE);
  return path.join(XDG_CACHE_HOME || path.join(homedir(), ".cache"), "zonda");
}
