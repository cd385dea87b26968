/** The server's side of HT (draft-schmaus-kitten-sasl-ht-08): the name, a NUL, the hash. */
import { isUtf8 } from "node:buffer";
import type { AuthContext, Exchange, Step } from "./contract.ts";
import { failure } from "./contract.ts";
import { userOf } from "./lookup.ts";
import type { TokenMechanism } from "./token-mechanisms.ts";
import { bindingFor } from "./token-mechanisms.ts";
import type { Proved, TokenKeeper } from "./tokens.ts";

const HASH_BYTES = 32;

export interface TokenUse {
  readonly mechanism: TokenMechanism;
  readonly userAgent: string;
  readonly count: number | undefined;
}

export class HashedTokenExchange implements Exchange {
  readonly #keeper: Pick<TokenKeeper, "check">;
  readonly #context: Pick<AuthContext, "domain" | "channelBindings">;
  readonly #use: TokenUse;
  /** Set by success. */
  proved: Proved | undefined;

  constructor(
    keeper: Pick<TokenKeeper, "check">,
    context: Pick<AuthContext, "domain" | "channelBindings">,
    use: TokenUse,
  ) {
    this.#keeper = keeper;
    this.#context = context;
    this.#use = use;
  }

  async step(message: Buffer): Promise<Step> {
    const end = message.indexOf(0);
    const name = message.subarray(0, Math.max(0, end));
    const hash = message.subarray(end + 1);
    if (end < 1 || hash.length !== HASH_BYTES || !isUtf8(name)) {
      return failure("malformed-request");
    }
    const { domain, channelBindings } = this.#context;
    const user = userOf(name.toString("utf8"), domain);
    const binding = bindingFor(this.#use.mechanism, channelBindings);
    if (user === undefined || binding === undefined) return failure("not-authorized");
    const verdict = await this.#keeper.check({ ...this.#use, user: user.bare, hash, binding });
    if (verdict.kind !== "proved") {
      return failure(verdict.kind === "expired" ? "credentials-expired" : "not-authorized");
    }
    this.proved = verdict;
    return { kind: "success", user, data: verdict.answer };
  }
}
