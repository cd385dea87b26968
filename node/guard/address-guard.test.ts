import { expect, test } from "vitest";
import { addressKey, isLoopback } from "./address.ts";
import { AddressGuard } from "./address-guard.ts";

test("an address gets its connections and no more, others are not disturbed", () => {
  const guard = new AddressGuard(2);
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
  const guard = new AddressGuard(1);
  guard.admit("192.0.2.1");
  guard.admit("192.0.2.1");
  guard.release("192.0.2.1");
  expect(guard.admit("192.0.2.1")).toBe(true);
});

test("a limit of zero is off", () => {
  const guard = new AddressGuard(0);
  for (let turn = 0; turn < 500; turn += 1) expect(guard.admit("192.0.2.1")).toBe(true);
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
