/** RFC 4505 ANONYMOUS: everybody is let in under a name that nobody had before (XEP-0175). */
import { isUtf8 } from "node:buffer";
import { Jid } from "../stanza/jid.ts";
import type { AuthContext, Exchange, Step } from "./contract.ts";
import { failure } from "./contract.ts";
import { digest } from "./hashes.ts";

/** RFC 4505, 2. The client's word about itself; it is checked and used for nothing. */
const TRACE_CHARACTERS_MAX = 255;
const NAME_CHARACTERS = 32;

export class AnonymousExchange implements Exchange {
  readonly #context: AuthContext;

  constructor(context: AuthContext) {
    this.#context = context;
  }

  async step(message: Buffer): Promise<Step> {
    const trace = isUtf8(message) ? [...message.toString("utf8")] : undefined;
    if (trace === undefined || trace.length > TRACE_CHARACTERS_MAX) {
      return failure("malformed-request");
    }
    const { nonce, domain } = this.#context;
    // In letters that a local part keeps as they are.
    const name = digest("sha256", nonce()).toString("hex").slice(0, NAME_CHARACTERS);
    return { kind: "success", user: Jid.from(name, domain, ""), data: undefined };
  }
}
