/** What every engine must do with documents. */
import { expect, test } from "vitest";
import type { OpenedPair } from "./data.suite.ts";
import { AWKWARD, LARGE_BYTES, someUser } from "./data.suite.ts";

type Open = () => OpenedPair;

const pairs = (...entries: [string, string | undefined][]) =>
  new Map(
    entries.map(
      ([key, text]) => [key, text === undefined ? undefined : Buffer.from(text)] as const,
    ),
  );

/** Declares these tests; see contract.suite.ts. */
export function documentsSuite(stores: Open): void {
  test("what was never written is not there", async () => {
    const { documents } = stores().here;
    const user = someUser();
    expect(await documents.list(user, "private")).toEqual([]);
    expect(await documents.get(user, "private", "key")).toBeUndefined();
    await documents.change(user, "private", pairs(["key", undefined]));
    await documents.change(user, "private", new Map());
    expect(await documents.list(user, "private")).toEqual([]);
  });

  test("documents come back whole, in the order of their keys, and are replaced", async () => {
    const { here, there } = stores();
    const user = someUser();
    const entries = AWKWARD.map((text): [string, string] => [text, text]);
    await here.documents.change(user, "private", pairs(...entries));
    const sorted = [...AWKWARD].sort((one, other) =>
      Buffer.compare(Buffer.from(one), Buffer.from(other)),
    );
    expect(await there.documents.list(user, "private")).toEqual(
      sorted.map((key) => ({ key, value: Buffer.from(key) })),
    );
    const [key] = AWKWARD as [string];
    await there.documents.change(user, "private", pairs([key, "new"]));
    expect(await here.documents.get(user, "private", key)).toEqual(Buffer.from("new"));
  });

  test("an empty value and an empty key are something", async () => {
    const { documents } = stores().here;
    const user = someUser();
    await documents.change(user, "vcard", pairs(["", ""]));
    expect(await documents.get(user, "vcard", "")).toEqual(Buffer.alloc(0));
    expect(await documents.list(user, "vcard")).toEqual([{ key: "", value: Buffer.alloc(0) }]);
  });

  test("kinds and users do not see each other", async () => {
    const { documents } = stores().here;
    const [user, other] = [someUser(), someUser()];
    await documents.change(user, "blocked", pairs(["key", "value"]));
    expect(await documents.get(user, "private", "key")).toBeUndefined();
    expect(await documents.list(user, "push")).toEqual([]);
    expect(await documents.list(other, "blocked")).toEqual([]);
  });

  test("one change writes and removes, also many and large ones", async () => {
    const { here, there } = stores();
    const user = someUser();
    const many = Array.from(
      { length: 1_000 },
      (_, index) => `key-${String(index).padStart(4, "0")}`,
    );
    await here.documents.change(
      user,
      "blocked",
      pairs(...many.map((key) => [key, key] as [string, string])),
    );
    const [first, second, ...rest] = many as [string, string, ...string[]];
    const large = Buffer.alloc(LARGE_BYTES, "x");
    await there.documents.change(
      user,
      "blocked",
      new Map([
        [first, undefined],
        [second, large],
      ]),
    );
    const left = await here.documents.list(user, "blocked");
    expect(left.map(({ key }) => key)).toEqual([second, ...rest]);
    expect(left[0]?.value).toEqual(large);
  });
}

/** Declares these tests; see contract.suite.ts. */
export function concurrentDocumentsSuite(stores: Open): void {
  test("writers of different keys do not undo each other", async () => {
    const { here, there } = stores();
    const user = someUser();
    const write = (index: number) =>
      (index % 2 === 0 ? here : there).documents.change(
        user,
        "push",
        pairs([`key-${index}`, "value"]),
      );
    await Promise.all(Array.from({ length: 40 }, (_, index) => write(index)));
    expect(await here.documents.list(user, "push")).toHaveLength(40);
  });
}
