import { expect, test } from "vitest";
import type { AuthContext } from "./contract.ts";
import { makeCredentials, makeDecoys, PasswordRefused } from "./credentials.ts";
import { PasswordWork } from "./password-work.ts";
import { mechanismsFor, SaslAttempt } from "./sasl.ts";
import { preparePassword } from "./saslprep.ts";

const KNOWN = await makeCredentials("pässword", { iterations: 4_096 });
const base64 = (text: string) => Buffer.from(text).toString("base64");

const context: AuthContext = {
  domain: "localhost",
  accounts: { credentials: async (user) => (user === "romeo@localhost" ? KNOWN : undefined) },
  decoys: makeDecoys(undefined, 4_096),
  channelBinding: undefined,
  nonce: () => "nonce",
  passwords: new PasswordWork(),
};

async function plain(message: string) {
  const step = await SaslAttempt.begin("PLAIN", context)?.initial(base64(message));
  return step?.kind === "failure" ? step.condition : step?.kind;
}

test("PLAIN logs in with the right password, in either normalisation", async () => {
  expect(await plain("\0romeo\0pässword")).toBe("success");
  expect(await plain("\0Romeo\0pässword")).toBe("success");
  expect(await plain("\0romeo\0pa\u0308ssword".normalize("NFD"))).toBe("success");
  expect(await plain("romeo@localhost\0romeo\0pässword")).toBe("success");
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
    const step = await attempt?.initial(text);
    return step?.kind === "failure" ? step.condition : step?.kind;
  };
  for (const text of ["AA", "AA==\n", " AA==", "A=A=", "AB==", "****", "AA-_"]) {
    expect(await condition(text)).toBe("incorrect-encoding");
  }
  expect(await condition("A".repeat(65_540))).toBe("malformed-request");
  expect(await condition("=")).toBe("malformed-request"); // No bytes: fewer than PLAIN needs.
  expect(await condition("")).toBe("challenge"); // No initial response: ask for it.
});

test("-PLUS is offered only with a channel to bind to", () => {
  expect(mechanismsFor(false)).toEqual(["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]);
  expect(mechanismsFor(true)[0]).toBe("SCRAM-SHA-256-PLUS");
  expect(SaslAttempt.begin("DIGEST-MD5", context)).toBeUndefined();
  expect(SaslAttempt.begin("toString", context)).toBeUndefined();
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
});

test("decoys differ by secret, user and mechanism, and look like credentials", () => {
  const decoy = makeDecoys("one", 4_096)("a@localhost");
  expect(decoy).toEqual(makeDecoys("one", 4_096)("a@localhost"));
  expect(decoy).not.toEqual(makeDecoys("two", 4_096)("a@localhost"));
  expect(decoy["SCRAM-SHA-1"].salt).not.toEqual(decoy["SCRAM-SHA-256"].salt);
  expect(decoy["SCRAM-SHA-1"].storedKey).toHaveLength(20);
  expect(decoy["SCRAM-SHA-1"].salt).toHaveLength(KNOWN["SCRAM-SHA-1"].salt.length);
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
