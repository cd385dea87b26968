import { expect, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import type { Credentials, ScramKeys, ScramMechanism } from "../stores/contract.ts";
import type { AuthContext } from "./contract.ts";
import { HASHES, keysOf, makeDecoys } from "./credentials.ts";
import { PasswordWork } from "./password-work.ts";
import { SaslAttempt } from "./sasl.ts";

const work = new PasswordWork();
const base64 = (text: string) => Buffer.from(text).toString("base64");

/** Keys of a known salt, for the RFCs' examples. */
async function keys(mechanism: ScramMechanism, password: string, salt: string): Promise<ScramKeys> {
  const bytes = Buffer.from(salt, "base64");
  const salted = await work.salted(password, bytes, 4_096, HASHES[mechanism]);
  return { salt: bytes, iterations: 4_096, ...keysOf(HASHES[mechanism], salted) };
}

const RFC_USER: Credentials = {
  "SCRAM-SHA-1": await keys("SCRAM-SHA-1", "pencil", "QSXCR+Q6sek8bf92"),
  "SCRAM-SHA-256": await keys("SCRAM-SHA-256", "pencil", "W22ZaJ0SNY7soEsUEjb6gQ=="),
};

const contextWith = (changes: Partial<AuthContext> = {}): AuthContext => ({
  domain: "localhost",
  accounts: {
    credentials: async (user) => (user === "user@localhost" ? RFC_USER : undefined),
  },
  decoys: makeDecoys("a secret", 4_096),
  channelBinding: undefined,
  nonce: () => "3rfcNHYJY1ZVvWVs7j",
  passwords: work,
  ...changes,
});

/** Runs the messages of a client; what the server answered to each, decoded. */
async function talk(mechanism: string, messages: readonly string[], context = contextWith()) {
  const attempt = SaslAttempt.begin(mechanism, context);
  if (attempt === undefined) return ["invalid-mechanism"];
  const answers: string[] = [];
  for (const [index, message] of messages.entries()) {
    const text = message === "" ? "=" : base64(message);
    const step = await (index === 0 ? attempt.initial(text) : attempt.respond(text));
    if (step.kind === "failure") return [...answers, step.condition];
    answers.push(step.data?.toString() ?? "");
    if (step.kind === "success") answers.push(step.user.bare);
  }
  return answers;
}

const FIRST = "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL";
const NONCE = "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j";
const FINAL = `c=biws,r=${NONCE},p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=`;

test("the example of RFC 5802 logs in, message by message", async () => {
  expect(await talk("SCRAM-SHA-1", [FIRST, FINAL])).toEqual([
    `r=${NONCE},s=QSXCR+Q6sek8bf92,i=4096`,
    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    "user@localhost",
  ]);
});

test("the example of RFC 7677 logs in, message by message", async () => {
  const serverNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
  const nonce = `rOprNGfwEbeRWgbNEkqO${serverNonce}`;
  const final = `c=biws,r=${nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`;
  const answers = await talk(
    "SCRAM-SHA-256",
    ["n,,n=user,r=rOprNGfwEbeRWgbNEkqO", final],
    contextWith({ nonce: () => serverNonce }),
  );
  expect(answers).toEqual([
    `r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`,
    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    "user@localhost",
  ]);
});

test.each([
  ["a proof of another password", `c=biws,r=${NONCE},p=${base64("x".repeat(20))}`],
  ["a proof that is too short", `c=biws,r=${NONCE},p=${base64("x")}`],
  [
    "a nonce that is not ours",
    "c=biws,r=fyko+d2lbbFgONRv9qkxdawLother,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
  ],
  ["only its own nonce", "c=biws,r=fyko+d2lbbFgONRv9qkxdawL,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="],
  ["another header than in the first message", `c=eSws,r=${NONCE},p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=`],
])("SCRAM refuses %s", async (_, final) => {
  expect((await talk("SCRAM-SHA-1", [FIRST, final])).at(-1)).toBe("not-authorized");
});

test.each([
  ["no gs2 header", ["n=user,r=abc"]],
  ["an unknown gs2 flag", ["x,,n=user,r=abc"]],
  ["a mandatory extension", ["n,,m=new,n=user,r=abc"]],
  ["no user", ["n,,n=,r=abc"]],
  ["no nonce", ["n,,n=user,r="]],
  ["a nonce with a space", ["n,,n=user,r=a b"]],
  ["a bare = in the name", ["n,,n=us=er,r=abc"]],
  ["an escape that is not one", ["n,,n=us=2Der,r=abc"]],
  ["an empty message", [""]],
  ["a final message without a proof", [FIRST, `c=biws,r=${NONCE}`]],
  ["a proof that is not base64", [FIRST, `c=biws,r=${NONCE},p=*`]],
  ["a first message twice", [FIRST, FIRST]],
])("SCRAM calls %s malformed", async (_, messages) => {
  expect((await talk("SCRAM-SHA-1", messages)).at(-1)).toBe("malformed-request");
});

test("an unknown user is challenged like a known one, the same at every try, and fails at the end", async () => {
  const unknown = "n,,n=nobody,r=fyko+d2lbbFgONRv9qkxdawL";
  const once = await talk("SCRAM-SHA-1", [unknown, FINAL]);
  const twice = await talk("SCRAM-SHA-1", [unknown, FINAL]);
  expect(once).toEqual(twice);
  expect(once[0]).toMatch(/^r=[^,]+,s=[A-Za-z0-9+/]{22}==,i=4096$/);
  expect(once[1]).toBe("not-authorized");
  const other = await talk("SCRAM-SHA-1", ["n,,n=noone,r=fyko+d2lbbFgONRv9qkxdawL", FINAL]);
  expect(other[0]).not.toBe(once[0]);
});

test("nobody logs in as an unknown user, even with a proof that fits the decoy", async () => {
  const context = contextWith({
    decoys: () => RFC_USER,
    accounts: { credentials: async () => undefined },
  });
  expect((await talk("SCRAM-SHA-1", [FIRST, FINAL], context)).at(-1)).toBe("not-authorized");
});

test("names are unescaped and prepared before they are looked up", async () => {
  const asked: string[] = [];
  const accounts = {
    async credentials(user: string) {
      asked.push(user);
      return undefined;
    },
  };
  await talk("SCRAM-SHA-1", ["n,,n=a=2Cb=3DC,r=abc"], contextWith({ accounts }));
  expect(asked).toEqual(["a,b=c@localhost"]);
});

test("an authorization identity must be the user's own", async () => {
  const first = (authzid: string) => `n,a=${authzid},n=user,r=fyko+d2lbbFgONRv9qkxdawL`;
  const run = async (authzid: string) => {
    const { createHash, createHmac } = await import("node:crypto");
    const bare = "n=user,r=fyko+d2lbbFgONRv9qkxdawL";
    const server = `r=${NONCE},s=QSXCR+Q6sek8bf92,i=4096`;
    const salted = await work.salted("pencil", RFC_USER["SCRAM-SHA-1"].salt, 4_096, "sha1");
    const clientKey = createHmac("sha1", salted).update("Client Key").digest();
    const stored = createHash("sha1").update(clientKey).digest();
    const without = `c=${base64(`n,a=${authzid},`)},r=${NONCE}`;
    const signature = createHmac("sha1", stored).update(`${bare},${server},${without}`).digest();
    const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0)));
    const final = `${without},p=${proof.toString("base64")}`;
    return (await talk("SCRAM-SHA-1", [first(authzid), final])).at(-1);
  };
  expect(await run("user@localhost")).toBe("user@localhost");
  expect(await run("juliet@localhost")).toBe("invalid-authzid");
  expect(await run("user@localhost/orchard")).toBe("invalid-authzid");
});

test("channel binding: downgrade, wrong type and missing -PLUS are refused", async () => {
  const secure = contextWith({ channelBinding: Buffer.alloc(32, 7) });
  const rest = "n=user,r=fyko+d2lbbFgONRv9qkxdawL";
  expect(await talk("SCRAM-SHA-1", [`y,,${rest}`], secure)).toEqual(["not-authorized"]);
  expect(await talk("SCRAM-SHA-1", [`p=tls-exporter,,${rest}`], secure)).toEqual([
    "malformed-request",
  ]);
  expect(await talk("SCRAM-SHA-1-PLUS", [`n,,${rest}`], secure)).toEqual(["malformed-request"]);
  expect(await talk("SCRAM-SHA-1-PLUS", [`p=tls-unique,,${rest}`], secure)).toEqual([
    "not-authorized",
  ]);
  expect(await talk("SCRAM-SHA-1-PLUS", [`p=tls-exporter,,${rest}`])).toEqual([
    "invalid-mechanism",
  ]);
  expect((await talk("SCRAM-SHA-1", [`y,,${rest}`]))[0]).toContain("r=fyko");
});

test("a store that is away is a failure to retry, and tells nothing", async () => {
  const away = {
    credentials: () => Promise.reject(new Unavailable("store-timeout", "Cannot read")),
  };
  expect(await talk("SCRAM-SHA-1", [FIRST], contextWith({ accounts: away }))).toEqual([
    "temporary-auth-failure",
  ]);
});
