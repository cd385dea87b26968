/** What all nodes share, in SQLite. */
import { Unavailable } from "../../base/errors.ts";
import type { Secrets } from "../contract.ts";
import type { Connection } from "./connection.ts";

export function sqliteSecrets(connection: Connection): Secrets {
  const insert = connection.prepare(
    "INSERT INTO secrets (name, secret) VALUES (?, ?) ON CONFLICT DO NOTHING",
  );
  const select = connection.prepare("SELECT secret FROM secrets WHERE name = ?");
  return {
    keep: (name, proposed) =>
      connection.write("keep a secret", () => {
        insert.run(name, proposed);
        const secret = select.get(name)?.secret;
        if (secret instanceof Uint8Array) return Buffer.from(secret);
        throw new Unavailable("store-corrupt", `Cannot keep a secret: ${name} is not bytes`);
      }),
  };
}
