import { expect, test } from "vitest";
import { readProxyHeader } from "./proxy-header.ts";

const SIGNATURE = "0d0a0d0a000d0a515549540a";
const binary = (command: string, rest: string) => {
  const length = (rest.length / 2).toString(16).padStart(4, "0");
  return Buffer.from(SIGNATURE + command + length + rest, "hex");
};
const INET = "c0000207" + "7f000001" + "1235" + "1466";
const INET6 = `20010db8000000000000000000000007${"0".repeat(31)}112351466`;
/** Fields: TLS with bits and "not verified", then the TLS version; one without a meaning here. */
const tls = (bits: string) => `20000f${bits}00000000210007544c5376312e33`;
const UNKNOWN = "040003616263";

test.each([
  [
    "version 1, IPv4",
    Buffer.from("PROXY TCP4 192.0.2.7 127.0.0.1 4661 5222\r\n"),
    "192.0.2.7",
    false,
  ],
  [
    "version 1, IPv6",
    Buffer.from("PROXY TCP6 2001:db8::7 ::1 4661 5222\r\n"),
    "2001:db8::7",
    false,
  ],
  ["version 1, of the proxy itself", Buffer.from("PROXY UNKNOWN\r\n"), undefined, false],
  [
    "version 1, unknown with words",
    Buffer.from("PROXY UNKNOWN ff:: ff:: 1 2\r\n"),
    undefined,
    false,
  ],
  ["version 2, IPv4", binary("2111", INET), "192.0.2.7", false],
  ["version 2, IPv6", binary("2121", INET6), "2001:db8:0:0:0:0:0:7", false],
  ["version 2, of the proxy itself", binary("2000", ""), undefined, false],
  ["version 2, itself, with an address to be ignored", binary("2011", INET), undefined, false],
  ["version 2 over TLS", binary("2111", INET + UNKNOWN + tls("01")), "192.0.2.7", true],
  ["version 2, TLS field without the bit", binary("2111", INET + tls("02")), "192.0.2.7", false],
  [
    "version 2, a field longer than the rest",
    binary("2111", `${INET}20ffff01`),
    "192.0.2.7",
    false,
  ],
  ["version 2, an empty TLS field", binary("2111", `${INET}200000`), "192.0.2.7", false],
])("%s", (_, bytes, address, isTls) => {
  const header = { address, isTls, length: bytes.length };
  expect(readProxyHeader(bytes)).toEqual(header);
  expect(readProxyHeader(Buffer.concat([bytes, Buffer.from("<?xml")]))).toEqual(header);
  for (let length = 0; length < bytes.length; length += 1) {
    expect(readProxyHeader(bytes.subarray(0, length)), `${length} bytes of it`).toBeUndefined();
  }
});

test.each([
  ["a client", Buffer.from("<?xml version='1.0'?>")],
  ["a TLS handshake", Buffer.from("160301", "hex")],
  ["an address that is none", Buffer.from("PROXY TCP4 localhost 127.0.0.1 1 2\r\n")],
  ["an address of the other family", Buffer.from("PROXY TCP6 192.0.2.7 127.0.0.1 1 2\r\n")],
  ["another protocol", Buffer.from("PROXY UDP4 192.0.2.7 127.0.0.1 1 2\r\n")],
  ["a line without an end", Buffer.from(`PROXY UNKNOWN ${"x".repeat(107)}`)],
  ["a version to come", binary("3111", INET)],
  ["a command to come", binary("2211", INET)],
  ["a UNIX socket", binary("2131", "00".repeat(216))],
  ["no family", binary("2100", "")],
  ["half an address", binary("2111", INET.slice(0, 20))],
  ["64 KiB of fields", binary("2111", INET).fill(0xff, 14, 16)],
])("%s is not believed", (_, bytes) => {
  expect(readProxyHeader(bytes)).toBe("wrong");
});
