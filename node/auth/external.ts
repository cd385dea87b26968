/** SASL EXTERNAL (RFC 4422, appendix A) with a client certificate, as XEP-0178 says. */
import { isUtf8 } from "node:buffer";
import { Jid } from "../stanza/jid.ts";
import type { AuthContext, Exchange, Step } from "./contract.ts";
import { failure } from "./contract.ts";

/** The accounts of a domain that a certificate names. */
export function certifiedUsers(certified: readonly string[], domain: string): readonly Jid[] {
  return certified.flatMap((text) => {
    const jid = parsed(text);
    const isAccount = jid !== undefined && jid.local !== "" && jid.isBare;
    return isAccount && jid.domain === domain ? [jid] : [];
  });
}

export class ExternalExchange implements Exchange {
  readonly #context: AuthContext;

  constructor(context: AuthContext) {
    this.#context = context;
  }

  async step(message: Buffer): Promise<Step> {
    if (!isUtf8(message)) return failure("malformed-request");
    const { certified, domain, accounts } = this.#context;
    const users = certifiedUsers(certified, domain);
    const [user, ...others] = chosen(users, message.toString("utf8"));
    // XEP-0178, 2, 11: with several addresses the client must say which, and it must be one of them.
    if (user === undefined || others.length > 0) {
      return failure(users.length === 0 ? "not-authorized" : "invalid-authzid");
    }
    const isKnown = (await accounts.credentials(user.bare)) !== undefined;
    return isKnown ? { kind: "success", user, data: undefined } : failure("not-authorized");
  }
}

const chosen = (users: readonly Jid[], authzid: string): readonly Jid[] =>
  authzid === "" ? users : users.filter(({ bare }) => bare === parsed(authzid)?.full);

function parsed(text: string): Jid | undefined {
  try {
    return Jid.parse(text);
  } catch {
    return undefined; // Not an address, so nobody's here.
  }
}
