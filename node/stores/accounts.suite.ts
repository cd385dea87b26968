/** What every engine must do with accounts. */
import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import type { OpenedPair } from "./data.suite.ts";
import {
  all,
  nowUs,
  someCredentials,
  someItem,
  someMessage,
  someToken,
  someUser,
} from "./data.suite.ts";

type Open = () => OpenedPair;

/** Declares these tests; see contract.suite.ts. */
export function accountsSuite(stores: Open): void {
  test("an account that nobody made does not exist", async () => {
    const { accounts } = stores().here;
    const user = someUser();
    expect(await accounts.exists(user)).toBe(false);
    expect(await accounts.credentials(user)).toBeUndefined();
    expect(await accounts.setCredentials(user, someCredentials())).toBe(false);
    expect(await accounts.exists(user)).toBe(false);
  });

  test("a created account is read by another node with the same credentials", async () => {
    const { here, there } = stores();
    const user = someUser();
    const credentials = someCredentials();
    expect(await here.accounts.create(user, credentials)).toBe(true);
    expect(await there.accounts.exists(user)).toBe(true);
    expect(await there.accounts.credentials(user)).toEqual(credentials);
  });

  test("creating an account again is refused and leaves its credentials", async () => {
    const { here, there } = stores();
    const user = someUser();
    const first = someCredentials();
    expect(await here.accounts.create(user, first)).toBe(true);
    expect(await there.accounts.create(user, someCredentials())).toBe(false);
    expect(await there.accounts.credentials(user)).toEqual(first);
  });

  test("of ten creations at once on two nodes exactly one wins, and its credentials stay", async () => {
    const { here, there } = stores();
    const user = someUser();
    const tries = Array.from({ length: 10 }, () => someCredentials());
    const answers = await Promise.all(
      tries.map((credentials, index) =>
        (index % 2 === 0 ? here : there).accounts.create(user, credentials),
      ),
    );
    expect(answers.filter(Boolean)).toHaveLength(1);
    expect(await here.accounts.credentials(user)).toEqual(tries[answers.indexOf(true)]);
  });

  test("credentials are replaced as a whole, also by two nodes at once", async () => {
    const { here, there } = stores();
    const user = someUser();
    await here.accounts.create(user, someCredentials());
    const [one, other] = [someCredentials(), someCredentials()];
    const answers = await Promise.all([
      here.accounts.setCredentials(user, one),
      there.accounts.setCredentials(user, other),
    ]);
    expect(answers).toEqual([true, true]);
    expect([one, other]).toContainEqual(await here.accounts.credentials(user));
  });
}

/** Declares these tests; see contract.suite.ts. */
export function keysSuite(stores: Open): void {
  const { "SCRAM-SHA-512": _, ...older } = someCredentials("same password");
  const complete = someCredentials("same password");

  test("an account without keys for SCRAM-SHA-512 is read as it was stored", async () => {
    const { here, there } = stores();
    const user = someUser();
    await here.accounts.create(user, older);
    expect(await there.accounts.credentials(user)).toEqual(older);
  });

  test("keys are added while the password is the known one", async () => {
    const { here, there } = stores();
    const user = someUser();
    await here.accounts.create(user, older);
    expect(await there.accounts.addKeys(user, older, complete)).toBe(true);
    expect(await here.accounts.credentials(user)).toEqual(complete);
    expect(await here.accounts.addKeys(user, older, complete)).toBe(false);
  });

  test("keys of an old password never replace those of a new one", async () => {
    const { here, there } = stores();
    const user = someUser();
    const changed = someCredentials();
    await here.accounts.create(user, older);
    await here.accounts.setCredentials(user, changed);
    expect(await there.accounts.addKeys(user, older, complete)).toBe(false);
    expect(await there.accounts.credentials(user)).toEqual(changed);
  });

  test("keys are not added to an account that does not exist", async () => {
    const { accounts } = stores().here;
    const user = someUser();
    expect(await accounts.addKeys(user, older, complete)).toBe(false);
    expect(await accounts.exists(user)).toBe(false);
  });
}

/** Declares these tests; see contract.suite.ts. */
export function accountNamesSuite(stores: Open): void {
  test("users whose names are prefixes of each other are different users", async () => {
    const { accounts } = stores().here;
    const base = `ann-${randomUUID()}`;
    const user = `${base}@example.org`;
    await accounts.create(user, someCredentials());
    for (const near of [
      `${base}@example.or`,
      `${base}@example.org.example`,
      `${base}x@example.org`,
      `${base.slice(0, -1)}@example.org`,
      `${base}%@example.org`,
      `${base.slice(0, -1)}_@example.org`,
    ]) {
      expect(await accounts.exists(near), near).toBe(false);
    }
  });

  test("an account's name may hold anything that a prepared address can", async () => {
    const { accounts } = stores().here;
    for (const name of ["юлия", "o\\27neil", "名前", "a$`~!#%^*(){}[]+=|;,.?"]) {
      const user = someUser(name, "bücher.example");
      expect(await accounts.create(user, someCredentials())).toBe(true);
      expect(await accounts.exists(user)).toBe(true);
      expect(await accounts.delete(user)).toBe(true);
    }
  });
}

/** Declares these tests; see contract.suite.ts. */
export function disablingSuite(stores: Open): void {
  test("a disabled account exists, and nobody logs in to it until it is enabled", async () => {
    const { here, there } = stores();
    const user = someUser();
    const credentials = someCredentials();
    await here.accounts.create(user, credentials);
    expect(await there.accounts.setDisabled(user, true)).toBe(true);
    expect(await there.accounts.setDisabled(user, true)).toBe(true);
    expect(await here.accounts.credentials(user)).toBeUndefined();
    expect(await here.accounts.exists(user)).toBe(true);
    expect(await here.accounts.create(user, someCredentials())).toBe(false);
    expect(await here.accounts.setDisabled(user, false)).toBe(true);
    expect(await there.accounts.credentials(user)).toEqual(credentials);
  });

  test("another password does not enable an account", async () => {
    const { accounts } = stores().here;
    const user = someUser();
    await accounts.create(user, someCredentials());
    await accounts.setDisabled(user, true);
    const credentials = someCredentials();
    expect(await accounts.setCredentials(user, credentials)).toBe(true);
    expect(await accounts.credentials(user)).toBeUndefined();
    await accounts.setDisabled(user, false);
    expect(await accounts.credentials(user)).toEqual(credentials);
  });

  test("disabling and another password at once undo neither of each other", async () => {
    const { here, there } = stores();
    for (let turn = 0; turn < 5; turn += 1) {
      const user = someUser();
      const credentials = someCredentials();
      await here.accounts.create(user, someCredentials());
      const done = await Promise.all([
        here.accounts.setDisabled(user, true),
        there.accounts.setCredentials(user, credentials),
      ]);
      expect(done).toEqual([true, true]);
      expect(await here.accounts.credentials(user)).toBeUndefined();
      await there.accounts.setDisabled(user, false);
      expect(await here.accounts.credentials(user)).toEqual(credentials);
    }
  });

  test("an account that is not there is not disabled", async () => {
    const { accounts } = stores().here;
    const user = someUser();
    expect(await accounts.setDisabled(user, true)).toBe(false);
    expect(await accounts.exists(user)).toBe(false);
  });
}

/** Declares these tests; see contract.suite.ts. */
export function domainSuite(stores: Open): void {
  test("list gives each account of its domain once and no other domain's", async () => {
    const { here, there } = stores();
    const domain = `${randomUUID()}.example`;
    const users = Array.from({ length: 40 }, (_, index) => `user${index}@${domain}`);
    await Promise.all(users.map((user) => here.accounts.create(user, someCredentials())));
    await here.accounts.create(`stranger@sub.${domain}`, someCredentials());
    await here.accounts.create(`stranger@${domain}.org`, someCredentials());
    expect((await all(there.accounts.list(domain))).sort()).toEqual([...users].sort());
  });

  test("list gives nothing for an unknown domain", async () => {
    expect(await all(stores().here.accounts.list(`${randomUUID()}.example`))).toEqual([]);
  });

  test("a reader may stop in the middle of a list", async () => {
    const { accounts } = stores().here;
    const domain = `${randomUUID()}.example`;
    await accounts.create(`one@${domain}`, someCredentials());
    await accounts.create(`two@${domain}`, someCredentials());
    for await (const user of accounts.list(domain)) {
      expect(user.endsWith(`@${domain}`)).toBe(true);
      break;
    }
    expect(await all(accounts.list(domain))).toHaveLength(2);
  });
}

/** Declares these tests; see contract.suite.ts. */
export function deletionSuite(stores: Open): void {
  test("deleting an account removes all of the user's data and nobody else's", async () => {
    const { here, there } = stores();
    const domain = `${randomUUID()}.example`;
    const [user, neighbour] = [`ann@${domain}`, `anna@${domain}`];
    for (const owner of [user, neighbour]) {
      await here.accounts.create(owner, someCredentials());
      await here.rosters.update(owner, "contact@example.org", { listed: true, name: "Contact" });
      await here.rosters.remove(owner, "contact@example.org");
      await here.rosters.update(owner, "friend@example.org", { listed: true });
      await here.offline.add(owner, someMessage(1), 10);
      await here.tokens.change(owner, { remove: [], put: [someToken("phone")] }, nowUs());
      await here.documents.change(owner, "private", new Map([["key", Buffer.from("value")]]));
      const node = await here.pubsub.create(owner, "node", { config: "{}" });
      await here.pubsub.publish(owner, node, someItem("item"), { isKept: true, removes: [] });
    }
    expect(await there.accounts.delete(user)).toBe(true);
    expect(await here.accounts.exists(user)).toBe(false);
    expect(await here.accounts.credentials(user)).toBeUndefined();
    expect(await here.rosters.load(user)).toEqual({ version: "", items: [] });
    expect(await here.offline.list(user, 10)).toEqual([]);
    expect(await here.documents.list(user, "private")).toEqual([]);
    expect(await here.documents.list(neighbour, "private")).toHaveLength(1);
    expect(await here.pubsub.list(user)).toEqual([]);
    expect(await here.pubsub.itemIds(user, "node")).toEqual([]);
    expect(await here.pubsub.itemIds(neighbour, "node")).toHaveLength(1);
    expect((await here.tokens.list(user)).tokens).toEqual([]);
    expect((await here.tokens.list(neighbour)).tokens).toHaveLength(1);
    expect(await all(here.accounts.list(domain))).toEqual([neighbour]);
    expect(await here.accounts.exists(neighbour)).toBe(true);
    expect((await here.rosters.load(neighbour)).items).toHaveLength(1);
    expect(await here.offline.list(neighbour, 10)).toHaveLength(1);
  });

  test("deleting answers false when there is nothing to delete", async () => {
    const { here, there } = stores();
    const user = someUser();
    expect(await here.accounts.delete(user)).toBe(false);
    await here.accounts.create(user, someCredentials());
    expect(await here.accounts.delete(user)).toBe(true);
    expect(await there.accounts.delete(user)).toBe(false);
  });

  test("a name can be used again after its deletion, with nothing left of the old one", async () => {
    const { here, there } = stores();
    const domain = `${randomUUID()}.example`;
    const user = `juliet@${domain}`;
    await here.accounts.create(user, someCredentials());
    const old = await here.rosters.update(user, "romeo@example.org", { listed: true });
    await here.accounts.delete(user);
    const credentials = someCredentials();
    expect(await there.accounts.create(user, credentials)).toBe(true);
    expect(await here.accounts.credentials(user)).toEqual(credentials);
    expect(await all(here.accounts.list(domain))).toEqual([user]);
    const version = await there.rosters.update(user, "romeo@example.org", { listed: true });
    expect(version).not.toBe(old);
    expect(await there.offline.add(user, someMessage(1), 10)).toBe(true);
    expect(await here.offline.list(user, 10)).toHaveLength(1);
  });
}
