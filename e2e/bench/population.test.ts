import { expect, test } from "vitest";
import { population, ROSTER } from "./population.ts";

test("every contact has an account and has its contact in return", () => {
  const more = { withCliques: true, withLargerRosters: true };
  const size = { users: 60, contacts: ROSTER, ...more };
  const accounts = [...population(size)];
  const contactsOf = new Map(accounts.map(({ name, contacts }) => [name, new Set(contacts)]));
  expect(contactsOf.size).toBe(accounts.length);
  expect(contactsOf.get("u59")?.size).toBe(ROSTER);
  expect(contactsOf.get("p0")?.size).toBe(ROSTER);
  for (const { name, contacts } of accounts) {
    for (const contact of contacts) {
      expect(contactsOf.get(contact)?.has(name), `${contact} of ${name}`).toBe(true);
    }
  }
});
