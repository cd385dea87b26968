/**
 * XEP-0077 In-Band Registration for users who are logged in: another password, or the end of the
 * account. Making accounts before login is the client door's business (see account.ts).
 */
import { flag } from "../config/options.ts";
import { StanzaError } from "../stanza/error.ts";
import { Jid, JidError } from "../stanza/jid.ts";
import type { Element } from "../xml/element.ts";
import { el } from "../xml/element.ts";
import { child, text } from "../xml/names.ts";
import { deleteAccount, preparedCredentials } from "./account.ts";
import type { Request } from "./contract.ts";
import { defineModule, iq } from "./contract.ts";

const NS = "jabber:iq:register";

/** Whether somebody means that user, however it is written. */
function isNameOf(name: string, { local, domain }: Jid): boolean {
  try {
    return Jid.from(name, domain).local === local;
  } catch (error) {
    if (error instanceof JidError) return false;
    throw error;
  }
}

export const register = defineModule({
  name: "register",
  about: "Users change their password or delete their account.",
  needs: ["roster"],
  features: [NS],
  implements: [{ xep: 77, version: "2.4" }],
  options: {
    passwordChange: flag({ about: "Users may change their own password.", default: true }),
    removal: flag({ about: "Users may delete their own account.", default: true }),
  },
  setup(host, options) {
    const { accounts, credentialsFor } = host;
    function show({ from }: Request) {
      return el("query", { xmlns: NS }, [
        el("registered"),
        el("username", {}, from.local),
        el("password"),
      ]);
    }
    async function remove({ from }: Request, query: Element) {
      if (!options.removal) throw new StanzaError("not-allowed");
      // Section 3.2: beside a password it may be that the client meant something else.
      if (query.getChildElements().length > 1) throw new StanzaError("bad-request");
      await deleteAccount(host, from.bare);
    }
    async function changePassword({ from }: Request, query: Element) {
      if (!options.passwordChange) throw new StanzaError("not-allowed");
      const username = child(query, "username", NS);
      const password = child(query, "password", NS);
      if (username === undefined || password === undefined) throw new StanzaError("bad-request");
      // Section 3.3: only one's own.
      if (!isNameOf(text(username), from)) throw new StanzaError("not-allowed");
      const credentials = await preparedCredentials(credentialsFor, text(password));
      const isChanged = await accounts.setCredentials(from.bare, credentials);
      if (!isChanged) throw new StanzaError("registration-required");
    }
    async function change(request: Request) {
      const { payload, session } = request;
      if (session === undefined) throw new StanzaError("forbidden"); // Only over one's own stream.
      const isRemoval = child(payload, "remove", NS) !== undefined;
      await (isRemoval ? remove(request, payload) : changePassword(request, payload));
      return undefined;
    }
    return [
      iq.get("server", NS, "query", show),
      iq.get("self", NS, "query", show),
      iq.set("server", NS, "query", change),
      iq.set("self", NS, "query", change),
    ];
  },
});
