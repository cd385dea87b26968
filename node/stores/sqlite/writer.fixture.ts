/**
 * A process for the tests to kill: stores messages as fast as it can and prints the id of each one
 * that the store has accepted. Arguments: directory, user.
 */
import { writeSync } from "node:fs";
import { openSqliteStores } from "./sqlite.ts";

const [directory = "", user = ""] = process.argv.slice(2);
const stores = await openSqliteStores({ directory });

async function write(lane: number): Promise<void> {
  for (let index = 0; ; index += 1) {
    const id = `${process.pid}-${lane}-${String(index).padStart(8, "0")}`;
    const message = { id, receivedMs: index, bytes: Buffer.from(`<message id='${id}'/>`) };
    await stores.offline.add(user, message, 1_000_000);
    writeSync(1, `${id}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, (_, lane) => write(lane)));
