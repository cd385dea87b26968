/** The server's side of SCRAM (RFC 5802, RFC 7677), with channel binding, and XEP-0474 on top. */
import { isUtf8 } from "node:buffer";
import type { Jid } from "../stanza/jid.ts";
import type { ScramKeys, ScramMechanism } from "../stores/contract.ts";
import type { AuthContext, Exchange, Step } from "./contract.ts";
import { failure } from "./contract.ts";
import { digest, HASHES, hmac, sameBytes } from "./hashes.ts";
import { mayActAs, userOf } from "./lookup.ts";
import { offerHash } from "./offer.ts";

/** gs2-header of RFC 5802, section 7: flag, binding name, authzid; then the bare message. */
const GS2 = /^((n|y|p=([A-Za-z0-9.-]+)),(?:a=([^,]+))?,)(.+)$/s;
/** A mandatory extension ("m=") in front does not match: RFC 5802, 5.1 says to fail then. */
const FIRST_BARE = /^n=([^,]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,]+)*$/;
const FINAL = /^(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,]+)*),p=([^,]+)$/s;

/** What is remembered between the client's first and final message. */
interface Begun {
  readonly user: Jid;
  /** False for a decoy: whatever the checks say, it must not log in. */
  readonly isKnown: boolean;
  readonly keys: ScramKeys;
  readonly authzid: string;
  readonly nonce: string;
  readonly gs2Header: string;
  /** Of the channel the client bound itself to; empty for none. */
  readonly binding: Buffer;
  /** client-first-message-bare "," server-first-message */
  readonly transcript: string;
}

export class ScramExchange implements Exchange {
  readonly #mechanism: ScramMechanism;
  readonly #isPlus: boolean;
  readonly #context: AuthContext;
  #begun: Begun | undefined;

  /** @param isPlus the -PLUS variant, which needs one of `context.channelBindings`. */
  constructor(mechanism: ScramMechanism, isPlus: boolean, context: AuthContext) {
    this.#mechanism = mechanism;
    this.#isPlus = isPlus;
    this.#context = context;
  }

  step(message: Buffer): Step | Promise<Step> {
    if (!isUtf8(message)) return failure("malformed-request");
    const text = message.toString("utf8");
    return this.#begun === undefined ? this.#first(text) : this.#final(text, this.#begun);
  }

  async #first(text: string): Promise<Step> {
    const [, gs2Header, flag, bindingName, rawAuthzid = "", bare] = GS2.exec(text) ?? [];
    const [, rawName, clientNonce] = FIRST_BARE.exec(bare ?? "") ?? [];
    if (gs2Header === undefined || rawName === undefined || clientNonce === undefined) {
      return failure("malformed-request");
    }
    const name = saslName(rawName);
    const authzid = saslName(rawAuthzid);
    if (name === undefined || authzid === undefined) return failure("malformed-request");
    const { channelBindings } = this.#context;
    // Section 6: "y" says we do not offer channel binding; if we do, somebody hid it from him.
    if (flag === "y" && channelBindings.size > 0) return failure("not-authorized");
    if ((bindingName !== undefined) !== this.#isPlus) return failure("malformed-request");
    const binding = bindingName === undefined ? Buffer.alloc(0) : channelBindings.get(bindingName);
    const user = userOf(name, this.#context.domain);
    if (binding === undefined || user === undefined) return failure("not-authorized");

    // Made for known users too: same time for both.
    const decoy = this.#context.decoys.keys(user.bare, this.#mechanism);
    const known = await this.#context.accounts.credentials(user.bare);
    // Who has no keys for the mechanism, which then was not offered to him, is checked like nobody.
    const keys = known?.[this.#mechanism] ?? decoy;
    const isKnown = known !== undefined;
    const nonce = clientNonce + this.#context.nonce();
    const salt = keys.salt.toString("base64");
    const serverFirst = `r=${nonce},s=${salt},i=${keys.iterations}${this.#offerAttribute()}`;
    const transcript = `${bare},${serverFirst}`;
    this.#begun = { user, isKnown, keys, authzid, nonce, gs2Header, binding, transcript };
    return { kind: "challenge", data: Buffer.from(serverFirst) };
  }

  /** XEP-0474, 5.1: the client sees by it whether somebody took mechanisms out of the offer. */
  #offerAttribute(): string {
    const { offer } = this.#context;
    const isAnnounced = offer.mechanisms.length > 0;
    return isAnnounced ? `,h=${offerHash(HASHES[this.#mechanism], offer)}` : "";
  }

  #final(text: string, begun: Begun): Step {
    const [, withoutProof, binding, nonce, proofText] = FINAL.exec(text) ?? [];
    const proof = proofText === undefined ? undefined : strictBase64(proofText);
    if (withoutProof === undefined || proof === undefined) return failure("malformed-request");
    const expected = Buffer.concat([Buffer.from(begun.gs2Header), begun.binding]).toString(
      "base64",
    );
    const isHeaderRight = sameBytes(Buffer.from(binding ?? ""), Buffer.from(expected));
    const isNonceRight = sameBytes(Buffer.from(nonce ?? ""), Buffer.from(begun.nonce));

    const hash = HASHES[this.#mechanism];
    const { storedKey, serverKey } = begun.keys;
    const authMessage = `${begun.transcript},${withoutProof}`;
    const signature = hmac(hash, storedKey, authMessage);
    const isProofRight =
      proof.length === signature.length &&
      sameBytes(digest(hash, exclusiveOr(proof, signature)), storedKey);
    if (!isHeaderRight || !isNonceRight || !isProofRight || !begun.isKnown) {
      return failure("not-authorized");
    }
    const { user } = begun;
    if (!mayActAs(user, begun.authzid)) return failure("invalid-authzid");
    const verifier = hmac(hash, serverKey, authMessage).toString("base64");
    return { kind: "success", user, data: Buffer.from(`v=${verifier}`) };
  }
}

/** RFC 5802, 5.1: "," and "=" in names are sent as "=2C" and "=3D"; any other "=" is an error. */
function saslName(text: string): string | undefined {
  if (/=(?!2C|3D)/.test(text)) return undefined;
  return text.replaceAll("=2C", ",").replaceAll("=3D", "=");
}

/** Of two that are equally long. */
function exclusiveOr(a: Buffer, b: Buffer): Buffer {
  const both = Buffer.allocUnsafe(a.length);
  for (let at = 0; at < a.length; at += 1) both[at] = (a[at] as number) ^ (b[at] as number);
  return both;
}

/** The bytes of canonical RFC 4648 base64; undefined for anything else, spaces included. */
export function strictBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}
