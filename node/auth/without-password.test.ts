import { expect, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Credentials } from "../stores/contract.ts";
import { openClusterSecret } from "./cluster-secret.ts";
import type { AuthContext } from "./contract.ts";
import { makeCredentials } from "./credentials.ts";
import { KeyUpgrades } from "./key-upgrades.ts";
import { offerFor, PASSWORD_MECHANISMS } from "./offer.ts";
import { contextWith, talk } from "./testing/context.ts";

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT };
const COMPLETE = await makeCredentials("secret", { iterations: 4_096 });
const { "SCRAM-SHA-512": _, ...OLDER } = COMPLETE;

const external = (certified: readonly string[], message: string | Buffer) => {
  const grounds = {
    isAnonymous: false,
    isCertified: true,
    hasSha512: true,
    allowed: PASSWORD_MECHANISMS,
    channelBindings: [],
  };
  const changes: Partial<AuthContext> = { certified, offer: offerFor(grounds) };
  return talk("EXTERNAL", [message], contextWith({ "juliet@localhost": COMPLETE }, changes));
};

test.each<[string, readonly string[], string | Buffer, string]>([
  ["the one address of the certificate", ["juliet@localhost"], "", "juliet@localhost"],
  ["an address in other letters", ["Juliet@LOCALHOST"], "", "juliet@localhost"],
  ["the address it names itself", ["juliet@localhost"], "juliet@localhost", "juliet@localhost"],
  ["one of several", ["a@localhost", "juliet@localhost"], "juliet@localhost", "juliet@localhost"],
  ["another domain's left aside", ["a@example.org", "juliet@localhost"], "", "juliet@localhost"],
  ["none of several named", ["a@localhost", "juliet@localhost"], "", "invalid-authzid"],
  ["somebody else", ["juliet@localhost"], "romeo@localhost", "invalid-authzid"],
  ["a full address", ["juliet@localhost"], "juliet@localhost/x", "invalid-authzid"],
  ["no address at all", ["juliet@localhost"], "@@", "invalid-authzid"],
  ["another domain alone", ["juliet@example.org"], "", "not-authorized"],
  ["an address that is none", ["@", "localhost", "juliet@localhost/x"], "", "not-authorized"],
  ["nobody's certificate", [], "", "not-authorized"],
  ["an account that does not exist", ["nobody@localhost"], "", "not-authorized"],
  ["no UTF-8", ["juliet@localhost"], Buffer.from([0xff]), "malformed-request"],
])("EXTERNAL with %s", async (_name, certified, message, outcome) => {
  expect((await external(certified, message)).at(-1)).toBe(outcome);
});

const anonymous = (message: string | Buffer, nonce: string) => {
  const grounds = {
    isAnonymous: true,
    isCertified: false,
    hasSha512: true,
    allowed: PASSWORD_MECHANISMS,
    channelBindings: [],
  };
  const context = contextWith({}, { offer: offerFor(grounds), nonce: () => nonce });
  return talk("ANONYMOUS", [message], context);
};

test("ANONYMOUS gives everybody an address of their own, whatever they say of themselves", async () => {
  const [, one] = await anonymous("", "a nonce");
  const [, other] = await anonymous("sirhc", "another nonce"); // The trace of RFC 4505, 3.
  expect((await anonymous("x".repeat(255), "a third")).at(-1)).toMatch(/@localhost$/);
  expect(one).toMatch(/^[0-9a-f]{32}@localhost$/);
  expect(other).toMatch(/^[0-9a-f]{32}@localhost$/);
  expect(one).not.toBe(other);
});

test("ANONYMOUS calls a trace that is too long or no UTF-8 malformed", async () => {
  expect(await anonymous("x".repeat(256), "n")).toEqual(["malformed-request"]);
  expect(await anonymous(Buffer.from([0xc3]), "n")).toEqual(["malformed-request"]);
});

test("a domain for guests offers nothing else", () => {
  const grounds = {
    isCertified: true,
    hasSha512: true,
    allowed: PASSWORD_MECHANISMS,
    channelBindings: ["tls-exporter"],
  };
  expect(offerFor({ ...grounds, isAnonymous: true })).toEqual({
    mechanisms: ["ANONYMOUS"],
    channelBindings: [],
  });
  const { mechanisms } = offerFor({ ...grounds, isAnonymous: false });
  expect(mechanisms[0]).toBe("EXTERNAL");
  expect(mechanisms).not.toContain("ANONYMOUS");
});

test("an account without keys for SCRAM-SHA-512 gets them at a login with PLAIN", async () => {
  const users: Record<string, Credentials> = { "romeo@localhost": OLDER };
  const accounts = {
    async addKeys(user: string, known: Credentials, credentials: Credentials) {
      if (users[user] !== known) return false;
      users[user] = credentials;
      return true;
    },
  };
  const upgrades = new KeyUpgrades(accounts, { iterations: 4_096 }, SILENT);
  const context = contextWith(users, { upgrades });
  expect((await talk("PLAIN", ["\0romeo\0wrong"], context)).at(-1)).toBe("not-authorized");
  await upgrades.settled();
  expect(users["romeo@localhost"]).toBe(OLDER);
  expect((await talk("PLAIN", ["\0romeo\0secret"], context)).at(-1)).toBe("romeo@localhost");
  await upgrades.settled();
  const { "SCRAM-SHA-512": keys, ...others } = users["romeo@localhost"] ?? {};
  expect(others).toEqual(OLDER);
  expect(keys?.storedKey).toHaveLength(64);
  await talk("PLAIN", ["\0romeo\0secret"], context);
  await upgrades.settled();
  expect(upgrades.stats).toEqual({ made: 1, failed: 0 });
});

test("keys that cannot be stored are counted, and the login does not suffer", async () => {
  const away = { addKeys: () => Promise.reject(new Unavailable("store-timeout", "Cannot write")) };
  const upgrades = new KeyUpgrades(away, { iterations: 4_096 }, SILENT);
  const context = contextWith({ "romeo@localhost": OLDER }, { upgrades });
  expect((await talk("PLAIN", ["\0romeo\0secret"], context)).at(-1)).toBe("romeo@localhost");
  await upgrades.settled();
  expect(upgrades.stats).toEqual({ made: 0, failed: 1 });
});

test("nodes of one cluster share a secret, and remember whether accounts came before it", async () => {
  const kept = new Map<string, Buffer>();
  const secrets = {
    async keep(name: string, proposed: Buffer) {
      kept.set(name, kept.get(name) ?? proposed);
      return kept.get(name) as Buffer;
    },
  };
  const open = (users: readonly string[], fill: number) => {
    const accounts = {
      async *list() {
        yield* users;
      },
    } as unknown as Parameters<typeof openClusterSecret>[0]["accounts"];
    const randomBytes = (count: number) => Buffer.alloc(count, fill);
    return openClusterSecret({ accounts, secrets }, ["localhost"], randomBytes);
  };
  const first = await open([], 1);
  const second = await open(["romeo@localhost"], 2);
  expect(first.areSomeOlder).toBe(false);
  expect(second.areSomeOlder).toBe(false);
  expect(second.keyFor("decoys")).toEqual(first.keyFor("decoys"));
  expect(second.keyFor("decoys")).not.toEqual(first.keyFor("resources"));
  kept.clear();
  expect((await open(["romeo@localhost"], 1)).areSomeOlder).toBe(true);
});
