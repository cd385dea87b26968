import { createHash, createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import type { ScramKeys, ScramMechanism } from "../stores/contract.ts";
import type { AuthContext, Step } from "./contract.ts";
import { keysOf } from "./credentials.ts";
import { HASHES } from "./hashes.ts";
import { NO_OFFER } from "./offer.ts";
import { PasswordWork } from "./password-work.ts";
import { ScramExchange } from "./scram.ts";
import { base64, contextWith, offerWith, talk as talkTo, testDecoys } from "./testing/context.ts";

const work = new PasswordWork();

/** Keys of a known salt, for the RFCs' examples. */
async function keys(mechanism: ScramMechanism, password: string, salt: string): Promise<ScramKeys> {
  const bytes = Buffer.from(salt, "base64");
  const salted = await work.salted(password, bytes, 4_096, HASHES[mechanism]);
  return { salt: bytes, iterations: 4_096, ...keysOf(HASHES[mechanism], salted) };
}

const SALT = "W22ZaJ0SNY7soEsUEjb6gQ==";
const OLDER = {
  "SCRAM-SHA-1": await keys("SCRAM-SHA-1", "pencil", "QSXCR+Q6sek8bf92"),
  "SCRAM-SHA-256": await keys("SCRAM-SHA-256", "pencil", SALT),
};
const RFC_USER = { ...OLDER, "SCRAM-SHA-512": await keys("SCRAM-SHA-512", "pencil", SALT) };

const context = (changes: Partial<AuthContext> = {}) =>
  contextWith({ "user@localhost": RFC_USER, "older@localhost": OLDER }, changes);

const talk = (mechanism: string, messages: readonly (string | Buffer)[], changes = context()) =>
  talkTo(mechanism, messages, changes);

/** As talk, where nothing was announced: the RFCs' examples have no extension. */
async function plainly(mechanism: ScramMechanism, messages: readonly string[], nonce: string) {
  const exchange = new ScramExchange(
    mechanism,
    false,
    context({ offer: NO_OFFER, nonce: () => nonce }),
  );
  const steps: Step[] = [];
  for (const message of messages) steps.push(await exchange.step(Buffer.from(message)));
  return steps.map((step) => (step.kind === "failure" ? step.condition : step.data?.toString()));
}

const FIRST = "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL";
const NONCE = "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j";
const FINAL = `c=biws,r=${NONCE},p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=`;

test("the example of RFC 5802 logs in, message by message", async () => {
  expect(await plainly("SCRAM-SHA-1", [FIRST, FINAL], "3rfcNHYJY1ZVvWVs7j")).toEqual([
    `r=${NONCE},s=QSXCR+Q6sek8bf92,i=4096`,
    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
  ]);
});

test.each([
  [
    "RFC 7677",
    "SCRAM-SHA-256",
    "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
  ],
  // The same messages by draft-melnikov-scram-sha-512, worked out by another implementation.
  [
    "SCRAM-SHA-512",
    "SCRAM-SHA-512",
    "gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
    "ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==",
  ],
] as const)(
  "the example of %s logs in, message by message",
  async (_, mechanism, proof, verifier) => {
    const serverNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const nonce = `rOprNGfwEbeRWgbNEkqO${serverNonce}`;
    const final = `c=biws,r=${nonce},p=${proof}`;
    const messages = ["n,,n=user,r=rOprNGfwEbeRWgbNEkqO", final];
    expect(await plainly(mechanism, messages, serverNonce)).toEqual([
      `r=${nonce},s=${SALT},i=4096`,
      `v=${verifier}`,
    ]);
  },
);

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
  ["a message that is not UTF-8", [Buffer.from([0x6e, 0x2c, 0x2c, 0xff])]],
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
  expect(once[0]).toMatch(/^r=[^,]+,s=[A-Za-z0-9+/]{22}==,i=4096,h=[A-Za-z0-9+/]{27}=$/);
  expect(once[1]).toBe("not-authorized");
  const other = await talk("SCRAM-SHA-1", ["n,,n=noone,r=fyko+d2lbbFgONRv9qkxdawL", FINAL]);
  expect(other[0]).not.toBe(once[0]);
});

test("nobody logs in as an unknown user, even with a proof that fits the decoy", async () => {
  const decoys = { haveAllSha512: true, of: () => RFC_USER, keys: () => RFC_USER["SCRAM-SHA-1"] };
  const accounts = { credentials: async () => undefined };
  const { proof, first } = await proved("SCRAM-SHA-1", "n=user", { offer: NO_OFFER });
  const exchange = new ScramExchange(
    "SCRAM-SHA-1",
    false,
    context({ decoys, accounts, offer: NO_OFFER }),
  );
  await exchange.step(Buffer.from(first));
  const step = await exchange.step(Buffer.from(proof));
  expect(step).toEqual({ kind: "failure", condition: "not-authorized" });
});

test("a user without keys for SCRAM-SHA-512 fails with it like nobody, and logs in with others", async () => {
  const older = { decoys: testDecoys(true) };
  const failing = await talk("SCRAM-SHA-512", ["n,,n=older,r=abc", FINAL], context(older));
  expect(failing[0]).toMatch(/^r=abc[^,]+,s=[A-Za-z0-9+/]{22}==,i=4096,h=/);
  expect(failing[1]).toBe("not-authorized");
  const { first, proof } = await proved("SCRAM-SHA-256", "n=older", {});
  expect((await talk("SCRAM-SHA-256", [first, proof])).at(-1)).toBe("older@localhost");
});

test("names are unescaped and prepared before they are looked up", async () => {
  const asked: string[] = [];
  const accounts = {
    async credentials(user: string) {
      asked.push(user);
      return undefined;
    },
  };
  await talk("SCRAM-SHA-1", ["n,,n=a=2Cb=3DC,r=abc"], context({ accounts }));
  expect(asked).toEqual(["a,b=c@localhost"]);
});

/** The client's two messages with the password "pencil". */
async function proved(
  mechanism: ScramMechanism,
  name: string,
  {
    gs2 = "n,,",
    binding = Buffer.alloc(0),
    offer = offerWith(),
    nonce = NONCE,
  }: { gs2?: string; binding?: Buffer; offer?: AuthContext["offer"]; nonce?: string },
) {
  const hash = HASHES[mechanism];
  const bare = `${name},r=fyko+d2lbbFgONRv9qkxdawL`;
  const { salt } = RFC_USER[mechanism];
  const sorted = (names: readonly string[]) => [...names].sort().join("\x1e");
  const bindings = offer.channelBindings.length > 0 ? `\x1f${sorted(offer.channelBindings)}` : "";
  const told = createHash(hash)
    .update(`${sorted(offer.mechanisms)}${bindings}`)
    .digest("base64");
  const extension = offer === NO_OFFER ? "" : `,h=${told}`;
  const server = `r=${nonce},s=${salt.toString("base64")},i=4096${extension}`;
  const salted = await work.salted("pencil", salt, 4_096, hash);
  const clientKey = createHmac(hash, salted).update("Client Key").digest();
  const stored = createHash(hash).update(clientKey).digest();
  const bound = Buffer.concat([Buffer.from(gs2), binding]).toString("base64");
  const without = `c=${bound},r=${nonce}`;
  const signature = createHmac(hash, stored).update(`${bare},${server},${without}`).digest();
  const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0)));
  return { first: `${gs2}${bare}`, proof: `${without},p=${proof.toString("base64")}` };
}

test("an authorization identity must be the user's own", async () => {
  const run = async (authzid: string) => {
    const { first, proof } = await proved("SCRAM-SHA-1", "n=user", { gs2: `n,a=${authzid},` });
    return (await talk("SCRAM-SHA-1", [first, proof])).at(-1);
  };
  expect(await run("user@localhost")).toBe("user@localhost");
  expect(await run("juliet@localhost")).toBe("invalid-authzid");
  expect(await run("user@localhost/orchard")).toBe("invalid-authzid");
});

const EXPORTED = Buffer.alloc(32, 7);
const END_POINT = Buffer.alloc(32, 9);
const secure = (changes: Partial<AuthContext> = {}) =>
  context({
    channelBindings: new Map([
      ["tls-exporter", EXPORTED],
      ["tls-server-end-point", END_POINT],
    ]),
    ...changes,
  });

test.each([
  ["SCRAM-SHA-1", "tls-exporter", EXPORTED],
  ["SCRAM-SHA-256", "tls-exporter", EXPORTED],
  ["SCRAM-SHA-512", "tls-exporter", EXPORTED],
  ["SCRAM-SHA-256", "tls-server-end-point", END_POINT],
] as const)("%s-PLUS logs in bound to the channel by %s", async (mechanism, type, binding) => {
  const { offer } = secure();
  const { first, proof } = await proved(mechanism, "n=user", {
    gs2: `p=${type},,`,
    binding,
    offer,
  });
  const plus = `${mechanism}-PLUS`;
  expect((await talk(plus, [first, proof], secure())).at(-1)).toBe("user@localhost");
  const other = await proved(mechanism, "n=user", {
    gs2: `p=${type},,`,
    binding: Buffer.alloc(32, 1),
    offer,
  });
  expect((await talk(plus, [other.first, other.proof], secure())).at(-1)).toBe("not-authorized");
});

test("a binding of one type is not taken for one of another", async () => {
  const { offer } = secure();
  const options = { gs2: "p=tls-exporter,,", binding: END_POINT, offer };
  const { first, proof } = await proved("SCRAM-SHA-256", "n=user", options);
  const answers = await talk("SCRAM-SHA-256-PLUS", [first, proof], secure());
  expect(answers.at(-1)).toBe("not-authorized");
});

test("XEP-0474: a client that was shown another offer than the one made is refused", async () => {
  const changed: AuthContext["offer"][] = [
    { mechanisms: ["SCRAM-SHA-1"], channelBindings: [] },
    offerWith(["tls-exporter"]),
    offerWith([]),
  ];
  for (const offer of changed) {
    const { first, proof } = await proved("SCRAM-SHA-1", "n=user", { offer });
    expect((await talk("SCRAM-SHA-1", [first, proof], secure())).at(-1)).toBe("not-authorized");
  }
  const { offer } = secure();
  const { first, proof } = await proved("SCRAM-SHA-1", "n=user", { offer });
  expect((await talk("SCRAM-SHA-1", [first, proof], secure())).at(-1)).toBe("user@localhost");
});

test("channel binding: downgrade, wrong type and missing -PLUS are refused", async () => {
  const rest = "n=user,r=fyko+d2lbbFgONRv9qkxdawL";
  expect(await talk("SCRAM-SHA-1", [`y,,${rest}`], secure())).toEqual(["not-authorized"]);
  expect(await talk("SCRAM-SHA-1", [`p=tls-exporter,,${rest}`], secure())).toEqual([
    "malformed-request",
  ]);
  expect(await talk("SCRAM-SHA-1-PLUS", [`n,,${rest}`], secure())).toEqual(["malformed-request"]);
  expect(await talk("SCRAM-SHA-1-PLUS", [`p=tls-unique,,${rest}`], secure())).toEqual([
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
  expect(await talk("SCRAM-SHA-1", [FIRST], context({ accounts: away }))).toEqual([
    "temporary-auth-failure",
  ]);
});
