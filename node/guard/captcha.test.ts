import { inflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { systemRandom } from "../base/random.ts";
import { Captchas } from "./captcha.ts";
import { drawLetters, HEIGHT, LETTERS, WIDTH } from "./captcha-image.ts";

const ADDRESS = "192.0.2.1";

/** Letters are chosen by the bytes that count from 0: the first six of the alphabet. */
const counting = {
  fraction: Math.random,
  bytes: (count: number) => Buffer.from([...Array(count).keys()]),
};
const ANSWER = LETTERS.slice(0, 6).join("");

const scene = () => {
  const clock = new FakeClock();
  const captchas = new Captchas(clock, counting);
  return { clock, captchas, make: () => captchas.make(ADDRESS)?.id ?? "" };
};

test("the letters of the picture are the answer, in any case and with spaces", () => {
  const { captchas, make } = scene();
  expect(captchas.solve(make(), ANSWER)).toBe(true);
  expect(captchas.solve(make(), ` ${[...ANSWER.toLowerCase()].join(" ")} `)).toBe(true);
});

test("a wrong answer, another challenge's or none is none", () => {
  const { captchas, make } = scene();
  for (const answer of ["", "AAAAAA", `${ANSWER}A`, ANSWER.slice(1)]) {
    expect(captchas.solve(make(), answer)).toBe(false);
  }
  expect(captchas.solve("other", ANSWER)).toBe(false);
  expect(captchas.solve("", ANSWER)).toBe(false);
});

test("a challenge is answered once, right or wrong", () => {
  const { captchas, make } = scene();
  const id = make();
  expect(captchas.solve(id, "wrong")).toBe(false);
  expect(captchas.solve(id, ANSWER)).toBe(false);
});

test("a challenge is over after ten minutes", () => {
  const { clock, captchas, make } = scene();
  const id = make();
  clock.advance(600_001);
  expect(captchas.solve(id, ANSWER)).toBe(false);
});

test("one address gets so many challenges in an hour, another has its own", () => {
  const { captchas } = scene();
  const made = Array.from({ length: 200 }, () => captchas.make(ADDRESS));
  expect(made.filter((one) => one !== undefined)).toHaveLength(120);
  expect(captchas.make("192.0.2.2")).toBeDefined();
});

test("the picture is a PNG of its size, no two of them the same, with ink and paper in it", () => {
  const [one, other] = [drawLetters("ACEFHK", systemRandom), drawLetters("ACEFHK", systemRandom)];
  expect(one.subarray(0, 8).toString("latin1")).toBe("\x89PNG\r\n\x1a\n");
  expect([one.readUInt32BE(16), one.readUInt32BE(20)]).toEqual([WIDTH, HEIGHT]);
  expect(one.equals(other)).toBe(false);
  const dataAt = one.indexOf("IDAT") + 4;
  const rows = inflateSync(one.subarray(dataAt, dataAt + one.readUInt32BE(dataAt - 8)));
  expect(rows).toHaveLength((WIDTH + 1) * HEIGHT);
  const ink = [...rows].filter((value) => value === 50).length;
  // Six letters of about sixteen squares.
  expect(ink).toBeGreaterThan(2_000);
  expect(ink).toBeLessThan(WIDTH * HEIGHT * 0.5);
});
