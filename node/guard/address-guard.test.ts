import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { addressKey, isLoopback } from "./address.ts";
import { AddressGuard } from "./address-guard.ts";

const guardWith = (connectionsPerAddressMax: number, failedLoginsPerAddressPerMinute: number) => {
  const clock = new FakeClock();
  const limits = { connectionsPerAddressMax, failedLoginsPerAddressPerMinute };
  return { clock, guard: new AddressGuard(limits, clock) };
};

test("an address gets its connections and no more, others are not disturbed", () => {
  const { guard } = guardWith(2, 0);
  expect([guard.admit("192.0.2.1"), guard.admit("192.0.2.1"), guard.admit("192.0.2.1")]).toEqual([
    true,
    true,
    false,
  ]);
  expect(guard.admit("192.0.2.2")).toBe(true);
  guard.release("192.0.2.1");
  expect(guard.admit("192.0.2.1")).toBe(true);
});

test("a connection refused is not counted", () => {
  const { guard } = guardWith(1, 0);
  guard.admit("192.0.2.1");
  guard.admit("192.0.2.1");
  guard.release("192.0.2.1");
  expect(guard.admit("192.0.2.1")).toBe(true);
});

test("after too many failed logins an address waits", () => {
  const { guard, clock } = guardWith(0, 3);
  for (let failure = 0; failure < 3; failure += 1) guard.loginFailed("192.0.2.1");
  expect(guard.mayLogIn("192.0.2.1")).toBe(false);
  expect(guard.mayLogIn("192.0.2.9")).toBe(true);
  clock.advance(20_000);
  expect(guard.mayLogIn("192.0.2.1")).toBe(true);
});

test("limits of zero are off", () => {
  const { guard } = guardWith(0, 0);
  for (let turn = 0; turn < 500; turn += 1) {
    expect(guard.admit("192.0.2.1")).toBe(true);
    guard.loginFailed("192.0.2.1");
  }
  expect(guard.mayLogIn("192.0.2.1")).toBe(true);
});

test("failures of very many addresses are forgotten oldest first", () => {
  const { guard } = guardWith(0, 1);
  for (let host = 0; host <= 50_000; host += 1) {
    guard.loginFailed(`10.${host >> 16}.${(host >> 8) & 255}.${host & 255}`);
  }
  expect(guard.mayLogIn("10.0.0.0")).toBe(true);
  expect(guard.mayLogIn("10.0.0.1")).toBe(false);
});

test("addresses of one IPv6 network and mapped IPv4 addresses share a key", () => {
  expect(addressKey("2001:db8::1")).toBe("2001:db8:0:0::/64");
  expect(addressKey("2001:db8:0:0:ffff::2")).toBe("2001:db8:0:0::/64");
  expect(addressKey("2001:db8:0:1::1")).toBe("2001:db8:0:1::/64");
  expect(addressKey("fe80::1%eth0")).toBe("fe80:0:0:0::/64");
  expect(addressKey("::ffff:192.0.2.1")).toBe("192.0.2.1");
});

test("loopback is told from everything else", () => {
  for (const address of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]) {
    expect(isLoopback(address)).toBe(true);
  }
  for (const address of ["192.0.2.1", "::", "1127.0.0.1", "127.0.0.1.example.org", ""]) {
    expect(isLoopback(address)).toBe(false);
  }
});
