import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Jid, JidError } from "./jid.ts";

/** Whether it is an address at all. */
function isAddress(text: string): boolean {
  try {
    Jid.parse(text);
    return true;
  } catch (error) {
    if (error instanceof JidError) return false;
    throw error;
  }
}

describe("RFC 7622, table 1: addresses", () => {
  it.each([
    ["juliet@example.com", "juliet", "example.com", ""],
    ["juliet@example.com/foo", "juliet", "example.com", "foo"],
    ["juliet@example.com/foo bar", "juliet", "example.com", "foo bar"],
    ["juliet@example.com/foo@bar", "juliet", "example.com", "foo@bar"],
    ["foo\\20bar@example.com", "foo\\20bar", "example.com", ""],
    ["fussball@example.com", "fussball", "example.com", ""],
    ["fu\u00DFball@example.com", "fu\u00DFball", "example.com", ""],
    ["\u03C0@example.com", "\u03C0", "example.com", ""],
    ["\u03A3@example.com/foo", "\u03C3", "example.com", "foo"],
    ["\u03C3@example.com/foo", "\u03C3", "example.com", "foo"],
    ["\u03C2@example.com/foo", "\u03C2", "example.com", "foo"],
    ["king@example.com/\u265A", "king", "example.com", "\u265A"],
    ["example.com", "", "example.com", ""],
    ["example.com/foobar", "", "example.com", "foobar"],
    ["a.example.com/b@example.net", "", "a.example.com", "b@example.net"],
    // Table 2 calls this one wrong; erratum 4560 takes that back.
    ["juliet@example.com/ foo", "juliet", "example.com", " foo"],
  ])("%s", (text, local, domain, resource) => {
    const jid = Jid.parse(text);
    expect([jid.local, jid.domain, jid.resource]).toEqual([local, domain, resource]);
  });
});

describe("RFC 7622, table 2: not addresses", () => {
  it.each([
    '"juliet"@example.com',
    "foo bar@example.com",
    "@example.com/",
    "henry\u2163@example.com",
    "\u265A@example.com",
    "juliet@",
    "/foobar",
  ])("%s", (text) => expect(isAddress(text)).toBe(false));
});

describe("more that is not an address", () => {
  it.each([
    "",
    "@",
    "/",
    "@/",
    "a@/b",
    "@b",
    "example.com/",
    "a@b/",
    "a@b@c",
    "a&b@c",
    "a'b@c",
    "a:b@c",
    "a<b@c",
    "a>b@c",
    "a\u0000@b",
    "a\u007F@b",
    "a@b/\u0000",
    "a@b/\t",
    "a@b/\uD800",
    "\uD800@b",
    "a@\uD800",
    "a\uFF20b@c",
    "a\u200Bb@c",
    "a@b\u00E9\u2028",
    "a@-b",
    "a@b-",
    "a@a..b",
    "a@.b",
    "a@.",
    "a@b..",
    "a@a_b",
    "a@a b",
    "a@a%41.com",
    "a@ab--c.example",
    "a@xn--a.example",
    "a@xn--",
    "a@\u265A.example",
    "a@[::1",
    "a@[1.2.3.4]",
    "a@[fe80::1%eth0]",
    "a@::1",
  ])("%j", (text) => expect(isAddress(text)).toBe(false));
});

describe("preparation", () => {
  it.each([
    ["Juliet@Example.COM/Balcony", "juliet@example.com/Balcony"],
    ["juliet@example.com./x", "juliet@example.com/x"],
    ["\uFF4A\uFF35liet@example.com", "juliet@example.com"],
    ["e\u0301@e\u0301.example", "\u00E9@\u00E9.example"],
    ["a@B\u00DCCHER.example", "a@b\u00FCcher.example"],
    ["a@xn--bcher-kva.example", "a@b\u00FCcher.example"],
    ["a@XN--BCHER-KVA.example", "a@b\u00FCcher.example"],
    ["a@fu\u00DFball.example", "a@fu\u00DFball.example"],
    ["a@example\u3002com", "a@example.com"],
    ["a@b/\u00A0\u3000x", "a@b/  x"],
    ["a@b/e\u0301\u212B", "a@b/\u00E9\u00C5"],
    ["a@127.0.0.1", "a@127.0.0.1"],
    ["a@[2001:DB8::1]/x", "a@[2001:db8::1]/x"],
    ["a@[::1]", "a@[::1]"],
    ["\u05D0\u05D1@example.com", "\u05D0\u05D1@example.com"],
  ])("%s becomes %s", (text, full) => expect(Jid.parse(text).full).toBe(full));

  it("parts may have 1,023 bytes and no more", () => {
    const long = "a".repeat(1_023);
    const label = "a".repeat(63);
    const domain = Array.from({ length: 16 }, () => label)
      .join(".")
      .slice(0, 1_023);
    expect(Jid.parse(`${long}@${domain}/${long}`).full).toHaveLength(3_071);
    expect(isAddress(`${long}a@b`)).toBe(false);
    expect(isAddress(`a@b/${long}a`)).toBe(false);
    expect(isAddress(`a@${domain}a`)).toBe(false);
    expect(isAddress(`${"\u00E9".repeat(511)}@b`)).toBe(true);
    expect(isAddress(`${"\u00E9".repeat(512)}@b`)).toBe(false);
    expect(isAddress(`a@b/${"\u265A".repeat(342)}`)).toBe(false);
    expect(isAddress("a".repeat(1_000_000))).toBe(false);
  });

  it("a label may have 63 characters in the form that DNS sees", () => {
    expect(isAddress(`a@${"a".repeat(63)}`)).toBe(true);
    expect(isAddress(`a@${"a".repeat(64)}`)).toBe(false);
    expect(isAddress(`a@${"\u00FC".repeat(54)}`)).toBe(true);
    expect(isAddress(`a@${"\u00FC\u0432".repeat(40)}`)).toBe(false);
  });

  it("is the same the second time, which comes from the cache", () => {
    const first = Jid.parse("J\u00FCrgen@example.com");
    expect(Jid.parse("J\u00FCrgen@example.com")).toBe(first);
    expect(first.full).toBe("j\u00FCrgen@example.com");
  });
});

describe("Jid", () => {
  it("has strings that name it", () => {
    const full = Jid.parse("a@b/c");
    expect([full.bare, full.full, full.isBare, `${full}`]).toEqual([
      "a@b",
      "a@b/c",
      false,
      "a@b/c",
    ]);
    const bare = full.toBare();
    expect([bare.bare, bare.full, bare.isBare, bare.resource]).toEqual(["a@b", "a@b", true, ""]);
    expect(bare.toBare()).toBe(bare);
    expect(Jid.parse("b/c").bare).toBe("b");
  });

  it("equals by its prepared form", () => {
    expect(Jid.parse("A@B/c").equals(Jid.from("a", "b", "c"))).toBe(true);
    expect(Jid.parse("a@b/C").equals(Jid.parse("a@b/c"))).toBe(false);
  });

  it("takes another resource, prepared", () => {
    expect(Jid.parse("a@b/c").withResource("\u00A0d").full).toBe("a@b/ d");
    for (const resource of ["", "\0", "x".repeat(1_024)]) {
      expect(() => Jid.parse("a@b").withResource(resource)).toThrow(JidError);
    }
  });

  it("is made from parts, prepared", () => {
    expect(Jid.from("", "B").full).toBe("b");
    expect(Jid.from("A", "B", "C").full).toBe("a@b/C");
    for (const [local, domain, resource] of [
      ["a@b", "c", ""],
      ["a", "b/c", ""],
      ["a", "", ""],
      ["a", "b@c", ""],
      ["a", "b", "\u0001"],
    ] as const) {
      expect(() => Jid.from(local, domain, resource)).toThrow(JidError);
    }
  });

  it("reads its own output back without preparing it", () => {
    expect(Jid.prepared("a@b/c/d@e").resource).toBe("c/d@e");
    expect(Jid.prepared("b").full).toBe("b");
    expect(Jid.prepared("A@B").full).toBe("A@B");
    for (const text of ["", "a@", "/x", `a@b/${"x".repeat(1_024)}`]) {
      expect(() => Jid.prepared(text)).toThrow(JidError);
    }
  });

  it("refuses without repeating the text", () => {
    expect(() => Jid.parse("se cret@b")).toThrow(
      expect.objectContaining({
        code: "jid-malformed",
        message: "Cannot read address: its local part has a forbidden character or none at all",
      }),
    );
  });
});

describe("any text", () => {
  const part = fc.oneof(
    fc.string({ unit: "binary", maxLength: 8 }),
    fc.string({ unit: "grapheme", maxLength: 8 }),
    fc.string({ maxLength: 8 }),
  );
  const text = fc
    .tuple(part, fc.constantFrom("", "@"), part, fc.constantFrom("", "/"), part)
    .map((parts) => parts.join(""));

  it("is an address or a JidError, and what is prepared stays as it is", () => {
    let accepted = 0;
    fc.assert(
      fc.property(text, (input) => {
        if (!isAddress(input)) return;
        accepted += 1;
        const jid = Jid.parse(input);
        expect(Jid.parse(jid.full).full).toBe(jid.full);
        expect(Jid.prepared(jid.full)).toEqual(jid);
        expect(Jid.from(jid.local, jid.domain, jid.resource)).toEqual(jid);
      }),
      { numRuns: 5_000 },
    );
    expect(accepted).toBeGreaterThan(100);
  });
});
