import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import type { FailedLoginReport } from "./failed-logins.ts";
import { FailedLogins } from "./failed-logins.ts";

const ROMEO = "romeo@example.org";

function kit(perAddress: number, perAccount: number, nodes = 1) {
  const clock = new FakeClock();
  const limits = {
    failedLoginsPerAddressPerMinute: perAddress,
    failedLoginsPerAccountPerMinute: perAccount,
  };
  const reports: FailedLoginReport[] = [];
  const all: FailedLogins[] = [];
  for (let index = 0; index < nodes; index += 1) {
    const own = new FailedLogins(limits, clock, (report) => {
      reports.push(report);
      for (const other of all) if (other !== own) other.heard(report);
    });
    all.push(own);
  }
  const [one, two] = all as [FailedLogins, FailedLogins];
  return { clock, reports, one, two };
}

test("after too many failures an address waits, and others do not", () => {
  const { one, clock } = kit(3, 0);
  for (let failure = 0; failure < 3; failure += 1) one.failed("192.0.2.1", undefined);
  expect(one.mayLogIn("192.0.2.1")).toBe(false);
  expect(one.mayLogIn("192.0.2.9")).toBe(true);
  clock.advance(20_000);
  expect(one.mayLogIn("192.0.2.1")).toBe(true);
});

test("limits of zero are off, and nobody is told of anything", () => {
  const { one, clock, reports } = kit(0, 0);
  for (let turn = 0; turn < 500; turn += 1) one.failed("192.0.2.1", ROMEO);
  expect(one.mayLogIn("192.0.2.1")).toBe(true);
  expect(one.mayTry(ROMEO, "192.0.2.1")).toBe(true);
  clock.advance(10_000);
  expect(reports).toEqual([]);
});

test("failures of very many addresses are forgotten oldest first", () => {
  const { one } = kit(1, 0);
  for (let host = 0; host <= 50_000; host += 1) {
    one.failed(`10.${host >> 16}.${(host >> 8) & 255}.${host & 255}`, undefined);
  }
  expect(one.mayLogIn("10.0.0.0")).toBe(true);
  expect(one.mayLogIn("10.0.0.1")).toBe(false);
});

test("an account that is guessed from many addresses waits, but not for who knows it", () => {
  const { one } = kit(0, 5);
  one.succeeded("192.0.2.200", ROMEO);
  for (let host = 1; host <= 5; host += 1) one.failed(`192.0.2.${host}`, ROMEO);
  expect(one.mayTry(ROMEO, "192.0.2.99")).toBe(false);
  expect(one.mayTry(ROMEO, "192.0.2.200")).toBe(true);
  expect(one.mayTry("juliet@example.org", "192.0.2.99")).toBe(true);
});

test("what fails on one node counts on the others about a second later", () => {
  const { one, two, clock, reports } = kit(4, 6, 2);
  for (let failure = 0; failure < 4; failure += 1) one.failed("2001:db8::1", ROMEO);
  expect(two.mayLogIn("2001:db8::2")).toBe(true);
  clock.advance(1_000);
  expect(two.mayLogIn("2001:db8::2")).toBe(false);
  expect(two.mayTry(ROMEO, "192.0.2.1")).toBe(true);
  two.failed("192.0.2.1", ROMEO);
  two.failed("192.0.2.1", ROMEO);
  expect(two.mayTry(ROMEO, "192.0.2.1")).toBe(false);
  clock.advance(1_000);
  expect(one.mayTry(ROMEO, "192.0.2.1")).toBe(false);
  expect(reports).toHaveLength(2);
  clock.advance(10_000);
  expect(one.mayTry(ROMEO, "192.0.2.1")).toBe(true);
  expect(reports).toHaveLength(2);
});

test("a report is bounded, and what does not fit is counted", () => {
  const { one, clock, reports } = kit(10, 10);
  for (let host = 0; host < 1_200; host += 1) {
    one.failed(`10.0.${host >> 8}.${host & 255}`, `user${host % 300}@example.org`);
  }
  clock.advance(1_000);
  expect(reports[0]?.addresses.size).toBe(1_000);
  expect(reports[0]?.accounts.size).toBe(300);
  expect(reports[0]?.accounts.get("user7@example.org")).toBe(4);
  expect(one.counts.untold).toBe(200);
});

test("a report with huge counts empties a budget and costs no more than that", () => {
  const { one } = kit(3, 0);
  one.heard({ addresses: new Map([["192.0.2.1", 65_535]]), accounts: new Map([[ROMEO, 65_535]]) });
  expect(one.mayLogIn("192.0.2.1")).toBe(false);
  expect(one.mayTry(ROMEO, "192.0.2.1")).toBe(true);
});
