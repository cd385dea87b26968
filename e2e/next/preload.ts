/** `node --import e2e/next/preload.ts node/cli.ts ...` runs this tree's next release. */
import { changeOnLoad } from "./hooks.ts";

changeOnLoad(() => true);
