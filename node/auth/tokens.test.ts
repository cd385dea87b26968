import { createHmac, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import type { StoredToken } from "../stores/contract.ts";
import { HashedTokenExchange } from "./hashed-token.ts";
import { MemoryTokens } from "./testing/memory-tokens.ts";
import type { TokenMechanism } from "./token-mechanisms.ts";
import { tokenMechanismsFor } from "./token-mechanisms.ts";
import type { GivenToken, Proved, TokenWishes } from "./tokens.ts";
import { TokenKeeper } from "./tokens.ts";

const USER = "romeo@localhost";
const PHONE = "d4565fa7-4d72-4749-b3d3-740edbf87770";
const TABLET = "d4565fa7-4d72-4749-b3d3-740edbf87771";
const DAY_MS = 86_400_000;
const BINDING = Buffer.alloc(32, 7);
const NONE = Buffer.alloc(0);

function open(clientsMax = 20) {
  const clock = new FakeClock();
  const store = new MemoryTokens();
  const keeper = new TokenKeeper({
    store,
    clock,
    random: { bytes: randomBytes, fraction: () => 0 },
    secret: Buffer.from("of the cluster"),
    lifetimeMs: 21 * DAY_MS,
    clientsMax,
  });
  const settle = (changes: Partial<TokenWishes>) =>
    keeper.settle({
      user: USER,
      userAgent: PHONE,
      beganMs: clock.nowMs(),
      proved: undefined,
      isInvalidating: false,
      requested: undefined,
      ...changes,
    });
  const give = async (
    mechanism: TokenMechanism = "HT-SHA-256-NONE",
    changes: Partial<TokenWishes> = {},
  ): Promise<string> => ((await settle({ requested: mechanism, ...changes })) as GivenToken).token;
  return { clock, store, keeper, settle, give };
}

const sign = (token: string, word: string, binding: Buffer = NONE) =>
  createHmac("sha256", token).update(word).update(binding).digest();

interface Use {
  readonly mechanism?: TokenMechanism;
  readonly userAgent?: string;
  readonly user?: string;
  readonly binding?: Buffer;
  readonly count?: number;
}

/** Checks a token as a client shows it. */
const show = (keeper: TokenKeeper, token: string, use: Use = {}) => {
  const { mechanism = "HT-SHA-256-NONE", userAgent = PHONE, user = USER, count } = use;
  const binding = use.binding ?? NONE;
  const hash = sign(token, "Initiator", binding);
  return keeper.check({ user, userAgent, mechanism, hash, binding, count });
};
const proved = async (keeper: TokenKeeper, token: string, use: Use = {}): Promise<Proved> => {
  const verdict = await show(keeper, token, use);
  if (verdict.kind !== "proved") throw new Error(`Cannot test: the token is ${verdict.kind}`);
  return verdict;
};

test.each<[TokenMechanism, Buffer]>([
  ["HT-SHA-256-NONE", NONE],
  ["HT-SHA-256-EXPR", BINDING],
  ["HT-SHA-256-ENDP", BINDING],
  ["HT-SHA-256-UNIQ", BINDING],
])(
  "%s: who has the token is known by one read, and we prove to have it too",
  async (mechanism, binding) => {
    const { keeper, store, give } = open();
    const token = await give(mechanism);
    const before = store.reads;
    const { answer } = await proved(keeper, token, { mechanism, binding });
    expect(store.reads).toBe(before + 1);
    expect(answer).toEqual(sign(token, "Responder", binding));
  },
);

test("the message is the one that another implementation of HT-SHA-256-NONE makes", () => {
  // xmpp.js 0.14, of the token "hai" for the user "null".
  const message = "bnVsbACNMNimsTBnxS04m8x7wgKjBHdDUL/nXPU4J4vqxqjBIg==";
  const made = Buffer.concat([Buffer.from("null\0"), sign("hai", "Initiator")]);
  expect(made.toString("base64")).toBe(message);
});

test("a token works for its user, its client and its mechanism alone", async () => {
  const { keeper, give } = open();
  const token = await give("HT-SHA-256-EXPR");
  const use = { mechanism: "HT-SHA-256-EXPR", binding: BINDING } as const;
  const kind = async (changes: Use) => (await show(keeper, token, { ...use, ...changes })).kind;
  expect(await kind({})).toBe("proved");
  expect(await kind({ user: "juliet@localhost" })).toBe("wrong");
  expect(await kind({ userAgent: TABLET })).toBe("wrong");
  expect(await kind({ mechanism: "HT-SHA-256-ENDP" })).toBe("wrong");
  expect(await kind({ mechanism: "HT-SHA-256-NONE", binding: NONE })).toBe("wrong");
  expect((await show(keeper, `${token}x`, use)).kind).toBe("wrong");
  const hash = sign(token, "Initiator", Buffer.alloc(32, 8));
  const other = { user: USER, userAgent: PHONE, ...use, hash, count: undefined };
  expect((await keeper.check(other)).kind).toBe("wrong");
});

test("what is stored holds neither the token nor the client's name, and opens for nobody else", async () => {
  for (const mechanism of ["HT-SHA-256-NONE", "HT-SHA-256-EXPR"] as const) {
    const { keeper, store, give } = open();
    const token = await give(mechanism);
    const [stored] = store.kept.get(USER) as [StoredToken];
    const leaked = `${JSON.stringify(stored)}${stored.sealed.toString("latin1")}`;
    expect(leaked).not.toContain(token);
    expect(leaked).not.toContain(PHONE);
    const binding = mechanism === "HT-SHA-256-NONE" ? NONE : BINDING;
    // Moved to another user, or made to last longer, it is worth nothing.
    store.kept.set("juliet@localhost", [stored]);
    const moved = { mechanism, binding, user: "juliet@localhost" };
    expect((await show(keeper, token, moved)).kind).toBe("wrong");
    store.kept.set(USER, [{ ...stored, expiresMs: stored.expiresMs + 1 }]);
    expect((await show(keeper, token, { mechanism, binding })).kind).toBe("wrong");
    store.kept.set(USER, [{ ...stored, sealed: Buffer.from("short") }]);
    expect((await show(keeper, token, { mechanism, binding })).kind).toBe("wrong");
  }
});

test("a token expires", async () => {
  const { keeper, clock, give } = open();
  const token = await give();
  clock.advance(21 * DAY_MS - 1);
  expect((await show(keeper, token)).kind).toBe("proved");
  clock.advance(1);
  expect((await show(keeper, token)).kind).toBe("expired");
  expect((await show(keeper, "another")).kind).toBe("wrong");
});

test("a day after it was given a token is replaced at its use; both work until the new one is used", async () => {
  const { keeper, clock, give, settle } = open();
  const token = await give();
  expect(await settle({ proved: await proved(keeper, token) })).toBeUndefined();
  clock.advance(DAY_MS);
  const next = await settle({ proved: await proved(keeper, token) });
  expect(next?.expiresMs).toBe(clock.nowMs() + 21 * DAY_MS);
  const newer = next?.token as string;
  // It may never have arrived: then another one takes its place.
  const newest = (await settle({ proved: await proved(keeper, token) }))?.token as string;
  expect((await show(keeper, newer)).kind).toBe("wrong");
  await settle({ proved: await proved(keeper, newest) });
  expect((await show(keeper, newest)).kind).toBe("proved");
  expect((await show(keeper, token)).kind).toBe("wrong");
});

test("a token in use costs no write", async () => {
  const { keeper, store, give, settle } = open();
  const token = await give();
  await settle({ proved: await proved(keeper, token) });
  const { writes } = store;
  await settle({ proved: await proved(keeper, token) });
  await settle({});
  expect(store.writes).toBe(writes);
});

test("a count is taken once, and only upwards", async () => {
  const { keeper, give, settle } = open();
  const token = await give();
  await settle({ proved: await proved(keeper, token, { count: 5 }) });
  for (const count of [1, 4, 5]) expect((await show(keeper, token, { count })).kind).toBe("wrong");
  await settle({ proved: await proved(keeper, token, { count: 6 }) });
  expect((await show(keeper, token, { count: 6 })).kind).toBe("wrong");
  expect((await show(keeper, token)).kind).toBe("proved");
});

test("a client that invalidates its token has none left, not even one it never used", async () => {
  const { keeper, clock, store, give, settle } = open();
  const token = await give();
  const tablet = await give("HT-SHA-256-NONE", { userAgent: TABLET });
  clock.advance(DAY_MS);
  await settle({ proved: await proved(keeper, token) });
  const answer = await settle({ proved: await proved(keeper, token), isInvalidating: true });
  expect(answer).toBeUndefined();
  expect((await show(keeper, token)).kind).toBe("wrong");
  expect(store.kept.get(USER)).toHaveLength(1);
  expect((await show(keeper, tablet, { userAgent: TABLET })).kind).toBe("proved");
});

test("a client may invalidate its token and ask for another at once", async () => {
  const { keeper, give, settle } = open();
  const token = await give();
  const wishes = { isInvalidating: true, requested: "HT-SHA-256-EXPR" } as const;
  const next = await settle({ proved: await proved(keeper, token), ...wishes });
  expect((await show(keeper, token)).kind).toBe("wrong");
  const use = { mechanism: "HT-SHA-256-EXPR", binding: BINDING } as const;
  expect((await show(keeper, next?.token ?? "", use)).kind).toBe("proved");
});

test("beyond the bound the client with the oldest token loses it", async () => {
  const { keeper, clock, store, give } = open(2);
  const agents = [1, 2, 3].map((last) => `d4565fa7-4d72-4749-b3d3-74000000000${last}`);
  const tokens: string[] = [];
  for (const userAgent of agents) {
    tokens.push(await give("HT-SHA-256-NONE", { userAgent }));
    clock.advance(1_000);
  }
  const kinds = await Promise.all(
    tokens.map(
      async (token, at) => (await show(keeper, token, { userAgent: agents[at] ?? "" })).kind,
    ),
  );
  expect(kinds).toEqual(["wrong", "proved", "proved"]);
  await give("HT-SHA-256-NONE", { userAgent: agents[2] ?? "" }); // Known already: nobody goes.
  expect(new Set(store.kept.get(USER)?.map(({ client }) => client)).size).toBe(2);
});

test("who began to log in before the password changed keeps no token", async () => {
  const { keeper, clock, store, give } = open();
  const beganMs = clock.nowMs();
  await store.clear(USER);
  const token = await give("HT-SHA-256-NONE", { beganMs });
  expect((await show(keeper, token)).kind).toBe("wrong");
});

test("mechanisms are offered as the channel allows", () => {
  expect(tokenMechanismsFor([])).toEqual(["HT-SHA-256-NONE"]);
  expect(tokenMechanismsFor(["tls-server-end-point", "tls-exporter"])).toEqual([
    "HT-SHA-256-EXPR",
    "HT-SHA-256-ENDP",
    "HT-SHA-256-NONE",
  ]);
  expect(tokenMechanismsFor(["tls-unique"])).toEqual(["HT-SHA-256-UNIQ", "HT-SHA-256-NONE"]);
});

test.each<[string, Buffer, string]>([
  ["no NUL", Buffer.from("romeo"), "malformed-request"],
  ["no name", Buffer.concat([Buffer.of(0), Buffer.alloc(32)]), "malformed-request"],
  ["a hash too short", Buffer.from(`romeo\0${"x".repeat(31)}`), "malformed-request"],
  ["a hash too long", Buffer.from(`romeo\0${"x".repeat(33)}`), "malformed-request"],
  ["nothing", Buffer.alloc(0), "malformed-request"],
  [
    "a name that is no UTF-8",
    Buffer.concat([Buffer.of(0xff, 0), Buffer.alloc(32)]),
    "malformed-request",
  ],
  ["a name nobody can have", Buffer.from(`a b\0${"x".repeat(32)}`), "not-authorized"],
  ["an unknown user", Buffer.from(`nobody\0${"x".repeat(32)}`), "not-authorized"],
  ["a wrong hash", Buffer.from(`romeo\0${"x".repeat(32)}`), "not-authorized"],
])("HT with %s is refused", async (_, message, condition) => {
  const { keeper, give } = open();
  await give();
  const context = { domain: "localhost", channelBindings: new Map<string, Buffer>() };
  const use = { mechanism: "HT-SHA-256-NONE", userAgent: PHONE, count: undefined } as const;
  const exchange = new HashedTokenExchange(keeper, context, use);
  expect(await exchange.step(message)).toEqual({ kind: "failure", condition });
  expect(exchange.proved).toBeUndefined();
});
