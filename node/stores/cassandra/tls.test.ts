import { once } from "node:events";
import type { Server } from "node:net";
import { connect } from "node:net";
import { pipeline } from "node:stream";
import { createServer } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KeyPair } from "../../config/certificates.ts";
import { issue, makeAuthority } from "../../config/certificates.ts";
import { refusal, someUser } from "../data.suite.ts";
import { openCassandraStores } from "./cassandra.ts";
import { contactPoint, meddle, optionsFor, someKeyspace } from "./test-server.suite.ts";

/** A TLS door in front of the real Cassandra, on a port of its own. */
async function tlsDoor(certificate: KeyPair, opened: { count: number }): Promise<Server> {
  const port = Number(contactPoint.split(":").at(-1));
  const server = createServer({ cert: certificate.certificate, key: certificate.key }, (socket) => {
    opened.count += 1;
    pipeline(socket, connect(port, "127.0.0.1"), socket, () => socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

describe("TLS to Cassandra", () => {
  const keyspace = someKeyspace();
  const servers: Server[] = [];
  let authority: KeyPair;
  let stranger: KeyPair;

  beforeAll(async () => {
    authority = await makeAuthority("Cassandra's authority");
    stranger = await makeAuthority("Somebody else");
  });
  afterAll(async () => {
    for (const server of servers) server.close();
    await meddle(`DROP KEYSPACE IF EXISTS ${keyspace}`);
  });

  async function openThrough(signer: KeyPair, names: readonly string[]) {
    const opened = { count: 0 };
    const door = await tlsDoor(await issue(signer, { commonName: "cassandra", names }), opened);
    servers.push(door);
    const address = door.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const open = openCassandraStores({
      ...optionsFor(keyspace),
      contactPoints: [`localhost:${port}`],
      tls: { authority: authority.certificate },
    });
    return { open, opened };
  }

  test("works with a certificate for the configured name, signed by the authority", async () => {
    const { open, opened } = await openThrough(authority, ["localhost"]);
    await using stores = await open;
    const version = await stores.rosters.update(someUser(), "a@example.org", { listed: true });
    expect(version).not.toBe("");
    expect(opened.count).toBeGreaterThan(0);
  });

  test("is refused when another authority signed the certificate", async () => {
    const { open } = await openThrough(stranger, ["localhost", "127.0.0.1"]);
    const failure = await refusal(open);
    expect(failure).toMatchObject({ name: "Unavailable", code: "store-unavailable" });
    expect(String(failure)).toMatch(/certificate/);
  });

  test("is refused when the certificate names another server", async () => {
    const { open } = await openThrough(authority, ["elsewhere.example"]);
    const failure = await refusal(open);
    expect(failure).toMatchObject({ name: "Unavailable", code: "store-unavailable" });
    expect(String(failure)).toMatch(/altnames/);
  });
});
