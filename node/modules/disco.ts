/** XEP-0030 Service Discovery, for the server and for accounts. */
import { StanzaError } from "../stanza/error.ts";
import { el } from "../xml/element.ts";
import type { Request } from "./contract.ts";
import { defineModule, iq } from "./contract.ts";

const INFO = "http://jabber.org/protocol/disco#info";
const ITEMS = "http://jabber.org/protocol/disco#items";

export const disco = defineModule({
  name: "disco",
  about: "Says what the server and its accounts can do.",
  features: [INFO, ITEMS],
  implements: [{ xep: 30, version: "2.5.0" }],
  setup({ rosters, software, features }) {
    const describe = (category: string, type: string, name: string | undefined) =>
      el(
        "query",
        { xmlns: INFO },
        el("identity", { category, type, name }),
        features().map((feature) => el("feature", { var: feature })),
      );
    function checkNode({ payload }: Request) {
      // Section 3.1: there are no nodes here, and what is not there is not found.
      if (payload.attrs.node !== undefined) throw new StanzaError("item-not-found");
    }
    /** Section 8: an account is described to its owner and to whoever may see its presence. */
    async function checkMaySee({ from, to }: Request) {
      if (from.bare === to.bare) return;
      const item = await rosters.item(to.bare, from.bare);
      if (item?.from !== true) throw new StanzaError("service-unavailable");
    }
    function serverInfo(request: Request) {
      checkNode(request);
      return describe("server", "im", software.name);
    }
    async function accountInfo(request: Request) {
      await checkMaySee(request);
      checkNode(request);
      return describe("account", "registered", undefined);
    }
    function serverItems(request: Request) {
      checkNode(request);
      return el("query", { xmlns: ITEMS });
    }
    async function accountItems(request: Request) {
      await checkMaySee(request);
      return serverItems(request);
    }
    return [
      iq.get("server", INFO, "query", serverInfo),
      iq.get("server", ITEMS, "query", serverItems),
      iq.get("account", INFO, "query", accountInfo),
      iq.get("account", ITEMS, "query", accountItems),
    ];
  },
});
