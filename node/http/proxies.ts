/** Proxies whose word about a client's address is believed. */
import { BlockList, isIP, isIPv6 } from "node:net";
import { ConfigError } from "../base/errors.ts";

const family = (address: string): "ipv4" | "ipv6" => (isIPv6(address) ? "ipv6" : "ipv4");

/**
 * @param option that the entries come from
 * @throws ConfigError for an entry that is no address or network
 */
export function proxyList(option: string, entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = "", bits] = entry.split("/");
    const bitsMax = isIPv6(address) ? 128 : 32;
    const prefix = bits === undefined ? bitsMax : Number(bits);
    const isPrefix = /^\d{1,3}$/.test(bits ?? "0") && prefix <= bitsMax;
    if (isIP(address) === 0 || !isPrefix) {
      throw new ConfigError(`Cannot use ${option}: ${entry} is no address or network`);
    }
    list.addSubnet(address, prefix, family(address));
  }
  return list;
}

export const isTrusted = (proxies: BlockList, address: string): boolean =>
  isIP(address) !== 0 && proxies.check(address, family(address));
