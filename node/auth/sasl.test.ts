import { expect, test } from "vitest";
import { makeCredentials, PasswordRefused } from "./credentials.ts";
import { makeDecoys } from "./decoys.ts";
import { PasswordWork } from "./password-work.ts";
import { SaslAttempt } from "./sasl.ts";
import { preparePassword } from "./saslprep.ts";
import { base64, contextWith, talk, testDecoys } from "./testing/context.ts";

const KNOWN = await makeCredentials("pässword", { iterations: 4_096 });
const context = contextWith({ "romeo@localhost": KNOWN });

async function plain(message: string) {
  const step = await SaslAttempt.begin("PLAIN", context)?.respond(base64(message));
  return step?.kind === "failure" ? step.condition : step?.kind;
}

test("PLAIN logs in with the right password, in either normalisation", async () => {
  expect(await plain("\0romeo\0pässword")).toBe("success");
  expect(await plain("\0Romeo\0pässword")).toBe("success");
  expect(await plain("\0romeo\0pa\u0308ssword".normalize("NFD"))).toBe("success");
  expect(await plain("romeo@localhost\0romeo\0pässword")).toBe("success");
});

test("the examples of RFC 4616 log in, with and without an authorization identity", async () => {
  const users = {
    "tim@localhost": await makeCredentials("tanstaaftanstaaf", { iterations: 4_096 }),
    "kurt@localhost": await makeCredentials("xipj3plmq", { iterations: 4_096 }),
  };
  const answers = async (message: string) => talk("PLAIN", [message], contextWith(users));
  expect((await answers("\0tim\0tanstaaftanstaaf")).at(-1)).toBe("tim@localhost");
  // There Ursel lets Kurt act for her; here everybody acts for himself.
  expect((await answers("Ursel\0Kurt\0xipj3plmq")).at(-1)).toBe("invalid-authzid");
  expect((await answers("kurt@localhost\0Kurt\0xipj3plmq")).at(-1)).toBe("kurt@localhost");
});

test("PLAIN refuses a wrong password and an unknown user alike", async () => {
  expect(await plain("\0romeo\0password")).toBe("not-authorized");
  expect(await plain("\0nobody\0pässword")).toBe("not-authorized");
  expect(await plain("\0ro meo\0pässword")).toBe("not-authorized");
  expect(await plain("juliet@localhost\0romeo\0password")).toBe("not-authorized");
  expect(await plain("juliet@localhost\0romeo\0pässword")).toBe("invalid-authzid");
});

test("PLAIN calls what is not three fields malformed", async () => {
  for (const message of ["romeo", "\0romeo", "\0romeo\0", "\0\0secret", "a\0b\0c\0d"]) {
    expect(await plain(message)).toBe("malformed-request");
  }
});

test("base64 must be canonical, without spaces, and a reasonable length", async () => {
  const attempt = SaslAttempt.begin("PLAIN", context);
  const condition = async (text: string) => {
    const step = await attempt?.respond(text);
    return step?.kind === "failure" ? step.condition : step?.kind;
  };
  for (const text of ["AA", "AA==\n", " AA==", "A=A=", "AB==", "****", "AA-_"]) {
    expect(await condition(text)).toBe("incorrect-encoding");
  }
  expect(await condition("A".repeat(65_540))).toBe("malformed-request");
  expect(await condition("")).toBe("malformed-request"); // No bytes: fewer than PLAIN needs.
  expect(attempt?.start()).toEqual({ kind: "challenge", data: Buffer.alloc(0) });
});

test("only mechanisms that were offered can be used", () => {
  expect(SaslAttempt.begin("DIGEST-MD5", context)).toBeUndefined();
  expect(SaslAttempt.begin("toString", context)).toBeUndefined();
  expect(SaslAttempt.begin("ANONYMOUS", context)).toBeUndefined();
  expect(SaslAttempt.begin("EXTERNAL", context)).toBeUndefined();
  expect(SaslAttempt.begin("SCRAM-SHA-512-PLUS", context)).toBeUndefined();
  expect(SaslAttempt.begin("SCRAM-SHA-512", context)).toBeDefined();
});

test("passwords that cannot be are refused when credentials are made", async () => {
  for (const password of ["", "a\u0007b", "x".repeat(1_024), "\u00ad"]) {
    await expect(makeCredentials(password)).rejects.toThrow(PasswordRefused);
  }
  await expect(makeCredentials("secret", { iterations: 4_095 })).rejects.toThrow(RangeError);
  expect(await preparePassword("\u2168")).toBe("IX");
});

test("credentials of one password twice share nothing that is stored", async () => {
  const other = await makeCredentials("pässword", { iterations: 4_096 });
  expect(other["SCRAM-SHA-256"].salt).not.toEqual(KNOWN["SCRAM-SHA-256"].salt);
  expect(other["SCRAM-SHA-1"].storedKey).not.toEqual(KNOWN["SCRAM-SHA-1"].storedKey);
  expect(other["SCRAM-SHA-256"].storedKey).toHaveLength(32);
  expect(other["SCRAM-SHA-512"].serverKey).toHaveLength(64);
});

test("decoys differ by secret, user and mechanism, and look like credentials", () => {
  const decoys = testDecoys();
  const decoy = decoys.of("a@localhost");
  expect(decoy).toEqual(testDecoys().of("a@localhost"));
  const secret = Buffer.from("another");
  const others = makeDecoys({ secret, areSomeOlder: false, iterations: 4_096 });
  expect(decoy).not.toEqual(others.of("a@localhost"));
  expect(decoy).not.toEqual(decoys.of("b@localhost"));
  expect(decoy["SCRAM-SHA-1"].salt).not.toEqual(decoy["SCRAM-SHA-256"].salt);
  expect(decoy["SCRAM-SHA-1"].storedKey).toHaveLength(20);
  expect(decoy["SCRAM-SHA-512"]?.storedKey).toHaveLength(64);
  expect(decoy["SCRAM-SHA-1"].salt).toHaveLength(KNOWN["SCRAM-SHA-1"].salt.length);
});

test("where some accounts are older than SCRAM-SHA-512, so are some unknown users, always the same", () => {
  const users = Array.from({ length: 200 }, (_, index) => `user${index}@localhost`);
  const older = (decoys = testDecoys(true)) =>
    users.filter((user) => decoys.of(user)["SCRAM-SHA-512"] === undefined);
  expect(older()).toEqual(older());
  expect(older().length).toBeGreaterThan(50);
  expect(older().length).toBeLessThan(150);
  expect(older(testDecoys(false))).toEqual([]);
});

test("password work is bounded: some run, some wait, the rest is told to come back", async () => {
  const work = new PasswordWork({ concurrent: 1, waitingMax: 2 });
  const salt = Buffer.alloc(16);
  const runs = Array.from({ length: 5 }, () => work.salted("secret", salt, 4_096, "sha256"));
  const settled = await Promise.allSettled(runs);
  expect(settled.map(({ status }) => status)).toEqual([
    "fulfilled",
    "fulfilled",
    "fulfilled",
    "rejected",
    "rejected",
  ]);
  expect(await work.salted("secret", salt, 4_096, "sha256")).toHaveLength(32);
});
