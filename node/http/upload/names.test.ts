import { expect, test } from "vitest";
import { systemRandom } from "../../base/random.ts";
import { DAY_MS, Names, urlName } from "./names.ts";

const names = new Names(Buffer.from("secret"), systemRandom);
const others = new Names(Buffer.from("other"), systemRandom);
const claim = { user: "romeo@capulet.example", bytes: 7, type: "image/png", untilMs: 1_000 };

test("a name says when the file goes, to us and to nodes with the same key", () => {
  const id = names.make(10.5 * DAY_MS);
  expect(names.dayOf(id)).toBe(11);
  expect(new Names(Buffer.from("secret"), systemRandom).dayOf(id)).toBe(11);
  expect(names.make(DAY_MS)).not.toBe(names.make(DAY_MS));
});

test.each([
  ["of another key", others.make(DAY_MS)],
  ["with another day", names.make(DAY_MS).replace(/^1-/, "2-")],
  ["cut short", names.make(DAY_MS).slice(0, -1)],
  ["with more behind it", `${names.make(DAY_MS)}x`],
  ["that climbs", "../../etc/passwd"],
  ["that climbs, encoded", "%2e%2e%2f"],
  ["that is empty", ""],
  ["with a NUL", `${names.make(DAY_MS)}\0`],
])("a name %s is none", (_what, id) => {
  expect(names.dayOf(id)).toBeUndefined();
});

test("a token is for one file and not to be changed", () => {
  const [id, other] = [names.make(DAY_MS), names.make(DAY_MS)];
  const token = names.token(id, claim);
  expect(names.claimIn(token, id)).toEqual(claim);
  expect(names.claimIn(token, other)).toBeUndefined();
  expect(others.claimIn(token, id)).toBeUndefined();
  const [, signature] = token.split(".");
  const larger = Buffer.from(JSON.stringify(["x", 9, "", 9])).toString("base64url");
  expect(names.claimIn(`${larger}.${signature}`, id)).toBeUndefined();
  expect(names.claimIn("", id)).toBeUndefined();
  expect(names.claimIn("x".repeat(10_000), id)).toBeUndefined();
});

test.each([
  ["my photo.jpg", "my%20photo.jpg"],
  ["très.png", "tr%C3%A8s.png"],
  ["../../etc/passwd", "passwd"],
  ["C:\\dir\\file.txt", "file.txt"],
  ["..", "file"],
  [".hidden", "hidden"],
  ["a/", "file"],
  ["\ud800.png", "%EF%BF%BD.png"],
  ["a?b#c", "a%3Fb%23c"],
  ["it's (1)*!.png", "it%27s%20%281%29%2A%21.png"],
])("the file %j is %s in a URL", (name, part) => {
  expect(urlName(name)).toBe(part);
});

test("a long name keeps its ending", () => {
  const name = urlName(`${"x".repeat(5_000)}.jpg`);
  expect(name).toHaveLength(200);
  expect(name.endsWith(".jpg")).toBe(true);
});
