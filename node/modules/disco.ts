/** XEP-0030 Service Discovery, for the server and for accounts. */
import { StanzaError } from "../stanza/error.ts";
import type { Element } from "../xml/element.ts";
import { el } from "../xml/element.ts";
import type { DiscoRegistration, Host, Request } from "./contract.ts";
import { defineModule, iq } from "./contract.ts";

const INFO = "http://jabber.org/protocol/disco#info";
const ITEMS = "http://jabber.org/protocol/disco#items";

type Target = DiscoRegistration["target"];

function nodeOf({ payload }: Request): string {
  const node: unknown = payload.attrs.node;
  return typeof node === "string" ? node : "";
}

async function info(target: Target, host: Host, request: Request): Promise<Element> {
  const node = nodeOf(request);
  if (node === "") return el("query", { xmlns: INFO }, host.describe(target));
  for (const one of host.disco()) {
    const said = one.target === target ? await one.info?.(request, node) : undefined;
    if (said !== undefined) return el("query", { xmlns: INFO, node }, said);
  }
  // Section 3.1: what is not there is not found.
  throw new StanzaError("item-not-found");
}

async function items(target: Target, host: Host, request: Request): Promise<Element> {
  const node = nodeOf(request);
  const found: Element[] = [];
  let isKnown = node === "";
  if (isKnown && target === "server") {
    found.push(...host.components.map((jid) => el("item", { jid })));
  }
  for (const one of host.disco()) {
    const said = one.target === target ? await one.items?.(request, node) : undefined;
    if (said === undefined) continue;
    isKnown = true;
    found.push(...said);
  }
  if (!isKnown) throw new StanzaError("item-not-found");
  return el("query", { xmlns: ITEMS, node: node === "" ? undefined : node }, found);
}

export const disco = defineModule({
  name: "disco",
  about: "Says what the server and its accounts can do.",
  features: [INFO, ITEMS],
  implements: [{ xep: 30, version: "2.5.0" }],
  setup(host) {
    /** Section 8: an account is described to its owner and to whoever may see its presence. */
    async function checkMaySee({ from, to }: Request) {
      if (from.bare === to.bare) return;
      const item = await host.rosters.item(to.bare, from.bare);
      if (item?.from !== true) throw new StanzaError("service-unavailable");
    }
    async function accountInfo(request: Request) {
      await checkMaySee(request);
      return info("account", host, request);
    }
    async function accountItems(request: Request) {
      await checkMaySee(request);
      return items("account", host, request);
    }
    return [
      iq.get("server", INFO, "query", (request) => info("server", host, request)),
      iq.get("server", ITEMS, "query", (request) => items("server", host, request)),
      iq.get("account", INFO, "query", accountInfo),
      iq.get("account", ITEMS, "query", accountItems),
    ];
  },
});
