/** One node at a time serves a data directory: sessions are in its memory, and another would not know of them. */
import { DatabaseSync } from "node:sqlite";
import { ConfigError } from "../../base/errors.ts";
import { BUSY, makePrivate, resultCode } from "./file.ts";

const FILE_NAME = "serving.lock";

/**
 * Takes the directory for this process, until it is disposed of or the process ends, however it does.
 * Who only reads or changes the store, such as `zonda user add`, need not ask.
 * @throws ConfigError when another node has it, or the directory cannot be used
 */
export function occupy(directory: string): Disposable {
  try {
    return lock(makePrivate(directory, FILE_NAME));
  } catch (error) {
    const why =
      resultCode(error) === BUSY
        ? `another node serves what is in ${directory}; stop it, or give this one a directory of its own`
        : (error as Error).message;
    throw new ConfigError(`Cannot use data: ${why}`, { cause: error });
  }
}

function lock(file: string): Disposable {
  using opened = new DisposableStack();
  const database = opened.use(new DatabaseSync(file));
  database.exec("BEGIN EXCLUSIVE");
  return opened.move();
}
