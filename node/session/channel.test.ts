/** What a login takes from the TLS connection under it: channel bindings, client certificates. */
import { createHash, X509Certificate } from "node:crypto";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { makeCredentials } from "../auth/credentials.ts";
import { testDecoys } from "../auth/testing/context.ts";
import { issue, makeAuthority } from "../config/certificates.ts";
import { TlsContexts } from "../stream/tls.ts";
import { clientCertificate } from "./testing/client-certificate.ts";
import type { Kit } from "./testing/door-kit.ts";
import { CERTIFICATE, openKit } from "./testing/door-kit.ts";
import { base64, HEADER, RawClient, SASL } from "./testing/raw-client.ts";

const secured = (kit: Kit, options: ConnectionOptions = {}) =>
  RawClient.connectTls(kit.door.directTlsPort ?? 0, options);

const endPoint = createHash("sha256").update(new X509Certificate(CERTIFICATE.certificate).raw);
const END_POINT = endPoint.digest();
const typesIn = (features: string) =>
  [...features.matchAll(/<channel-binding type='([^']*)'\/>/g)].map(([, type]) => type);

test.each(["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"])(
  "TLS 1.3: %s-PLUS by tls-exporter and by tls-server-end-point",
  async (mechanism) => {
    await using kit = await openKit();
    for (const type of ["tls-exporter", "tls-server-end-point"]) {
      const client = await secured(kit);
      expect(typesIn(await client.open())).toEqual(["tls-exporter", "tls-server-end-point"]);
      const socket = client.socket as TLSSocket;
      const exported = socket.exportKeyingMaterial(32, "EXPORTER-Channel-Binding", Buffer.alloc(0));
      const channelBinding = type === "tls-exporter" ? exported : END_POINT;
      const tweak = { gs2: `p=${type},,`, channelBinding };
      const plus = `${mechanism}-PLUS`;
      expect(await client.scram(plus, "romeo", "secret", tweak)).toContain("<success");
      client.destroy();
    }
  },
);

test("tls-server-end-point is of the certificate that was shown, though others took its place since", async () => {
  const authority = await makeAuthority("domains");
  const issued = async (name: string) => issue(authority, { commonName: name, names: [name] });
  const byDomain = { "example.org": await issued("example.org") };
  await using kit = await openKit({ tls: new TlsContexts({ ...CERTIFICATE, byDomain }) });
  const own = await secured(kit, { servername: "example.org" });
  const standard = await secured(kit, { servername: "example.net" });
  const upgraded = await kit.connect();
  await upgraded.open(HEADER.replace("to='localhost'", "to='example.org'"));
  await upgraded.startTls(); // Asks for localhost, which has none of its own.
  kit.door.setSecureContext(await issued("localhost"));
  for (const [client, shown] of [
    [own, byDomain["example.org"]],
    [standard, CERTIFICATE],
    [upgraded, byDomain["example.org"]],
  ] as const) {
    const { raw } = new X509Certificate(shown.certificate);
    expect((client.socket as TLSSocket).getPeerX509Certificate()?.raw).toEqual(raw);
    await client.open();
    const channelBinding = createHash("sha256").update(raw).digest();
    const tweak = { gs2: "p=tls-server-end-point,,", channelBinding };
    expect(await client.scram("SCRAM-SHA-256-PLUS", "romeo", "secret", tweak)).toContain(
      "<success",
    );
    client.destroy();
  }
});

test("TLS 1.2: -PLUS by tls-unique and by tls-server-end-point, no tls-exporter", async () => {
  await using kit = await openKit();
  for (const type of ["tls-unique", "tls-server-end-point"]) {
    const client = await secured(kit, { maxVersion: "TLSv1.2" });
    expect(typesIn(await client.open())).toEqual(["tls-unique", "tls-server-end-point"]);
    const finished = (client.socket as TLSSocket).getFinished() ?? Buffer.alloc(0);
    const channelBinding = type === "tls-unique" ? finished : END_POINT;
    const tweak = { gs2: `p=${type},,`, channelBinding };
    expect(await client.scram("SCRAM-SHA-256-PLUS", "romeo", "secret", tweak)).toContain(
      "<success",
    );
    client.destroy();
  }
});

test("TLS 1.2: a resumed session has no tls-unique", async () => {
  await using kit = await openKit();
  const options: ConnectionOptions = { maxVersion: "TLSv1.2" };
  const first = await secured(kit, options);
  const session = (first.socket as TLSSocket).getSession();
  if (session === undefined) throw new Error("Cannot test: no session to resume");
  first.destroy();
  const second = await secured(kit, { ...options, session });
  expect((second.socket as TLSSocket).isSessionReused()).toBe(true);
  expect(typesIn(await second.open())).toEqual(["tls-server-end-point"]);
  second.destroy();
});

test("mechanisms that are switched off are neither offered nor taken, in either profile", async () => {
  await using kit = await openKit({ mechanisms: ["SCRAM-SHA-256"] });
  const client = await secured(kit);
  const features = await client.open();
  expect(features).not.toMatch(/PLAIN|SCRAM-SHA-1<|SCRAM-SHA-512/);
  expect(features).toContain("<mechanism>SCRAM-SHA-256-PLUS</mechanism>");
  client.plain("romeo", "secret");
  expect(await client.read(/<failure.*<\/failure>/)).toContain("<invalid-mechanism/>");
  expect(await client.plain2("romeo", "secret")).toContain("<invalid-mechanism");
  expect(await client.scram("SCRAM-SHA-256", "romeo", "secret")).toContain("<success");
  client.destroy();
});

test("a client that saw no channel binding although there is one is refused", async () => {
  await using kit = await openKit();
  const client = await secured(kit);
  await client.open();
  const answer = await client.scram("SCRAM-SHA-256", "romeo", "secret", { gs2: "y,," });
  expect(answer).toContain("<not-authorized/>");
  client.destroy();
});

const clients = await makeAuthority("clients");
const asking = async (): Promise<Kit> =>
  openKit({ tls: new TlsContexts({ ...CERTIFICATE, clientAuthority: clients.certificate }) });
const external = (client: RawClient, authzid = "") => {
  const message = authzid === "" ? "=" : base64(authzid);
  client.send(`<auth xmlns='${SASL}' mechanism='EXTERNAL'>${message}</auth>`);
  return client.read(/<success[^>]*>|<failure.*<\/failure>/);
};

test("EXTERNAL logs in who has a certificate of the authority for clients", async () => {
  await using kit = await asking();
  const certificate = await clientCertificate(clients, ["romeo@localhost", "other@example.net"]);
  const direct = await secured(kit, certificate);
  expect(await direct.open()).toContain("<mechanism>EXTERNAL</mechanism>");
  expect(await external(direct)).toContain("<success");
  await direct.open();
  expect(await direct.bind("orchard")).toContain("romeo@localhost/orchard");
  direct.destroy();
  const named = await secured(kit, { ...certificate, maxVersion: "TLSv1.2" });
  await named.open();
  expect(await external(named, "romeo@localhost")).toContain("<success");
  named.destroy();
});

test("EXTERNAL logs in and binds in one step", async () => {
  await using kit = await asking();
  const client = await secured(kit, await clientCertificate(clients, ["romeo@localhost"]));
  await client.open();
  client.authenticate("EXTERNAL", "", "<bind xmlns='urn:xmpp:bind:0'/>");
  expect(await client.read(/<success.*<\/success>/)).toContain("romeo@localhost/");
  client.destroy();
});

test.each<[string, () => Promise<ConnectionOptions>]>([
  ["no certificate", async () => ({})],
  [
    "one of another authority",
    async () => clientCertificate(await makeAuthority("x"), ["romeo@localhost"]),
  ],
  ["one that has expired", () => clientCertificate(clients, ["romeo@localhost"], { days: -1 })],
  ["one for another domain", () => clientCertificate(clients, ["romeo@example.net"])],
  [
    "one whose DNS name only looks like an address",
    () => {
      const dnsNames = ["a, othername:XmppAddr:romeo@localhost, b"];
      return clientCertificate(clients, [], { dnsNames });
    },
  ],
])("EXTERNAL is not offered, and not taken, with %s", async (_, options) => {
  await using kit = await asking();
  const client = await secured(kit, await options());
  expect(await client.open()).not.toContain("EXTERNAL");
  expect(await external(client)).toContain("<invalid-mechanism/>");
  client.plain("romeo", "secret");
  expect(await client.read(/<success[^>]*>/)).toContain("success"); // By other means it is welcome.
  client.destroy();
});

test("where no authority for clients is configured nobody is asked for a certificate", async () => {
  await using kit = await openKit();
  const certificate = await clientCertificate(clients, ["romeo@localhost"]);
  const client = await secured(kit, certificate);
  expect(await client.open()).not.toContain("EXTERNAL");
  client.destroy();
});

test("a domain for guests lets everybody in under an address of their own", async () => {
  await using kit = await openKit({ anonymousDomains: ["example.org"] });
  const login = async () => {
    const client = await kit.connect();
    const features = await client.open(HEADER.replace("to='localhost'", "to='example.org'"));
    expect(features).toContain(`<mechanisms xmlns='${SASL}'><mechanism>ANONYMOUS</mechanism></`);
    client.send(`<auth xmlns='${SASL}' mechanism='ANONYMOUS'/>`);
    await client.read(/<challenge[^>]*>/);
    client.send(`<response xmlns='${SASL}'/>`);
    await client.read(/<success[^>]*>/);
    await client.open(HEADER.replace("to='localhost'", "to='example.org'"));
    return /<jid>([^<]*)</.exec(await client.bind("guest"))?.[1];
  };
  const [one, other] = [await login(), await login()];
  expect(one).toMatch(/^[0-9a-f]{32}@example\.org\/guest$/);
  expect(other).not.toBe(one);
  const client = await kit.connect();
  expect(await client.open()).not.toContain("ANONYMOUS");
});

test("who says who it is is offered what its account has; unknown users look like known ones", async () => {
  await using kit = await openKit({ decoys: testDecoys(true) });
  const { "SCRAM-SHA-512": _, ...older } = await makeCredentials("secret", { iterations: 4_096 });
  kit.accounts.users.set("older@localhost", older);
  const offered = async (from: string | undefined) => {
    const client = await kit.connect();
    const header = from === undefined ? HEADER : HEADER.replace("to=", `from='${from}' to=`);
    return (await client.open(header)).includes("<mechanism>SCRAM-SHA-512</mechanism>");
  };
  expect(await offered("romeo@localhost")).toBe(true);
  expect(await offered("older@localhost")).toBe(false);
  expect(await offered(undefined)).toBe(false);
  expect(await offered("romeo@example.net")).toBe(false);
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, index) => offered(`nobody${index}@localhost`)),
  );
  expect(new Set(answers)).toEqual(new Set([true, false]));
});

test("a store that is away when a user says who it is does not keep it from the features", async () => {
  await using kit = await openKit({ decoys: testDecoys(true) });
  const { Unavailable } = await import("../base/errors.ts");
  kit.accounts.failure = new Unavailable("store-timeout", "Cannot read");
  const client = await kit.connect();
  const features = await client.open(HEADER.replace("to=", "from='romeo@localhost' to="));
  expect(features).toContain("<mechanism>SCRAM-SHA-256</mechanism>");
});
