import { expect, test } from "vitest";
import { audiences, contactsOf, crowd } from "./people.ts";

test("contacts are others, each once, know each other, and are spread over everybody", () => {
  const size = { users: 1_000, contacts: 30 };
  for (let at = 0; at < size.users; at += 37) {
    const contacts = contactsOf(at, size);
    expect(new Set(contacts).size).toBe(30);
    expect(contacts).not.toContain(at);
    for (const contact of contacts) expect(contactsOf(contact, size)).toContain(at);
    const half = contacts.filter((contact) => contact < 500).length;
    expect(Math.abs(half - 15)).toBeLessThanOrEqual(1);
  }
  expect([...crowd({ users: 5, contacts: 2 })][0]).toEqual({ name: "u0", contacts: ["u1", "u4"] });
});

test("an audience knows its hub, and hubs of different sizes share contacts", () => {
  const people = new Map([...audiences([1, 3])].map(({ name, contacts }) => [name, contacts]));
  expect([...people]).toEqual([
    ["h0", ["c0"]],
    ["h1", ["c0", "c1", "c2"]],
    ["c0", ["h0", "h1"]],
    ["c1", ["h1"]],
    ["c2", ["h1"]],
  ]);
});
