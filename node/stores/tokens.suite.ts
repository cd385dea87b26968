/** What every engine must do with tokens, and with secrets that all nodes share. */
import { randomBytes, randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import type { OpenedPair } from "./data.suite.ts";
import { nowUs, someCredentials, someToken, someUser } from "./data.suite.ts";

type Open = () => OpenedPair;

/** Declares these tests; see contract.suite.ts. */
export function tokensSuite(stores: Open): void {
  const put = (user: string, ...tokens: ReturnType<typeof someToken>[]) =>
    stores().here.tokens.change(user, { remove: [], put: tokens }, nowUs());
  const clients = async (user: string) =>
    (await stores().there.tokens.list(user)).tokens.map(({ client, slot }) => `${client} ${slot}`);

  test("a user without tokens has none", async () => {
    expect(await stores().here.tokens.list(someUser())).toEqual({ tokens: [], latestUs: 0 });
  });

  test("a token is read by another node as it was written", async () => {
    const user = someUser();
    const token = someToken("phone", { count: 2 ** 40, mechanism: "HT-SHA-256-EXPR" });
    await put(user, token);
    const { tokens, latestUs } = await stores().there.tokens.list(user);
    expect(tokens).toEqual([token]);
    expect(latestUs).toBeGreaterThan(nowUs() - 60_000_000);
  });

  test("each client has one token in use and one that is new", async () => {
    const user = someUser();
    const used = someToken("phone", { slot: "current" });
    await put(user, used, someToken("phone"), someToken("tablet"));
    await put(user, someToken("phone", { sealed: Buffer.from("another") }));
    expect((await clients(user)).sort()).toEqual(["phone current", "phone new", "tablet new"]);
    const { tokens } = await stores().there.tokens.list(user);
    expect(tokens.map(({ sealed }) => sealed.toString())).toContain("another");
  });

  test("removing and keeping happen as one, also of the same slot", async () => {
    const user = someUser();
    await put(user, someToken("phone"), someToken("tablet"));
    const { latestUs } = await stores().here.tokens.list(user);
    const current = someToken("phone", { slot: "current" });
    const remove = [
      { client: "phone", slot: "new" },
      { client: "phone", slot: "current" },
      { client: "nobody", slot: "new" },
    ] as const;
    await stores().there.tokens.change(user, { remove, put: [current] }, latestUs);
    expect((await clients(user)).sort()).toEqual(["phone current", "tablet new"]);
  });

  test("clearing removes all of a user's and nobody else's", async () => {
    const [user, other] = [someUser(), someUser()];
    await put(user, someToken("phone"), someToken("tablet"));
    await put(other, someToken("phone"));
    await stores().there.tokens.clear(user);
    expect(await clients(user)).toEqual([]);
    expect(await clients(other)).toEqual(["phone new"]);
  });

  test("a change as of a moment before the clearing comes too late", async () => {
    const user = someUser();
    const beganUs = nowUs() - 1_000;
    await stores().here.tokens.clear(user);
    await stores().there.tokens.change(user, { remove: [], put: [someToken("phone")] }, beganUs);
    expect(await clients(user)).toEqual([]);
  });

  test("another password clears the tokens, further keys for the same do not", async () => {
    const { here, there } = stores();
    const user = someUser();
    const { "SCRAM-SHA-512": _, ...older } = someCredentials("a");
    await here.accounts.create(user, older);
    await put(user, someToken("phone"));
    await there.accounts.addKeys(user, older, someCredentials("a"));
    expect(await clients(user)).toEqual(["phone new"]);
    await there.accounts.setCredentials(user, someCredentials());
    expect(await clients(user)).toEqual([]);
  });
}

/** Declares these tests; see contract.suite.ts. */
export function secretsSuite(stores: Open): void {
  test("ten nodes that make a secret at once keep the same one", async () => {
    const { here, there } = stores();
    const name = `test ${randomUUID()}`;
    const proposals = Array.from({ length: 10 }, () => randomBytes(32));
    const kept = await Promise.all(
      proposals.map((proposed, index) =>
        (index % 2 === 0 ? here : there).secrets.keep(name, proposed),
      ),
    );
    const [first] = kept;
    expect(proposals).toContainEqual(first);
    for (const secret of kept) expect(secret).toEqual(first);
    expect(await there.secrets.keep(name, randomBytes(32))).toEqual(first);
  });

  test("secrets of different names are different", async () => {
    const { secrets } = stores().here;
    const [one, other] = [randomBytes(32), randomBytes(32)];
    expect(await secrets.keep(`test ${randomUUID()}`, one)).toEqual(one);
    expect(await secrets.keep(`test ${randomUUID()}`, other)).toEqual(other);
  });
}
