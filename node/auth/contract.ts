/** What a SASL mechanism is here: a conversation of at most a few steps that ends in a user. */
import type { Jid } from "../stanza/jid.ts";
import type { Accounts } from "../stores/contract.ts";
import type { Decoys } from "./decoys.ts";
import type { KeyUpgrades } from "./key-upgrades.ts";
import type { Offer } from "./offer.ts";
import type { PasswordWork } from "./password-work.ts";

/** RFC 6120, 6.5. */
export type SaslCondition =
  | "aborted"
  | "credentials-expired"
  | "encryption-required"
  | "incorrect-encoding"
  | "invalid-authzid"
  | "invalid-mechanism"
  | "malformed-request"
  | "not-authorized"
  | "temporary-auth-failure";

/** What the server answers to one step of the client. */
export type Step =
  | { readonly kind: "challenge"; readonly data: Buffer }
  | { readonly kind: "success"; readonly user: Jid; readonly data: Buffer | undefined }
  | { readonly kind: "failure"; readonly condition: SaslCondition };

/** One run of a mechanism. */
export interface Exchange {
  /** Takes the client's next message, decoded. Not called again after success or failure. */
  step(message: Buffer): Step | Promise<Step>;
}

/** What authentication needs besides the stream it happens on. */
export interface AuthServices {
  readonly accounts: Pick<Accounts, "credentials">;
  /** What an unknown user is checked against, so that nobody can tell him from a known one. */
  readonly decoys: Decoys;
  /** A fresh unguessable text of printable ASCII without commas. */
  readonly nonce: () => string;
  readonly passwords: PasswordWork;
  /** Makes the keys an older account lacks, once its password is known. */
  readonly upgrades: Pick<KeyUpgrades, "consider" | "stats">;
}

/** What a mechanism may ask of its surroundings. */
export interface AuthContext extends AuthServices {
  /** The domain of the stream, prepared. */
  readonly domain: string;
  /** What was announced on this stream. */
  readonly offer: Offer;
  /** What the stream can be bound to, by type; empty without TLS. */
  readonly channelBindings: ReadonlyMap<string, Buffer>;
  /** Addresses that the client's certificate proves, as they stand in it. */
  readonly certified: readonly string[];
}

export const failure = (condition: SaslCondition): Step => ({ kind: "failure", condition });
