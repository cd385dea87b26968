#!/usr/bin/env node
// What `npx zonda` runs: the administrator's command on the pinned Node.
import { fileURLToPath } from "node:url";

process.argv.splice(2, 0, fileURLToPath(new URL("../node/cli.ts", import.meta.url)));
await import("./pinned.mjs");
