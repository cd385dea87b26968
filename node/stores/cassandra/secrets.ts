/** What all nodes share, in Cassandra: made once in a cluster's life, by a lightweight transaction. */
import { Unavailable } from "../../base/errors.ts";
import type { Secrets } from "../contract.ts";
import type { Pool } from "./pool.ts";
import { conditional, repeatable } from "./pool.ts";

const SELECT = repeatable("SELECT secret FROM secrets WHERE name = ?");
const INSERT = conditional("INSERT INTO secrets (name, secret) VALUES (?, ?) IF NOT EXISTS");

export function cassandraSecrets(pool: Pool): Secrets {
  async function read(name: string): Promise<Buffer | undefined> {
    const row = await pool.row("read a secret", SELECT, [name]);
    return Buffer.isBuffer(row?.secret) ? row.secret : undefined;
  }
  return {
    async keep(name, proposed) {
      const present = await read(name);
      if (present !== undefined) return present;
      const values = [name, proposed];
      if (await pool.writeIf("keep a secret", { statement: INSERT, values })) return proposed;
      const others = await read(name);
      if (others !== undefined) return others;
      throw new Unavailable("store-unavailable", `Cannot keep a secret: ${name} was not found`);
    },
  };
}
