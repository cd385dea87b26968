/** What a SASL mechanism is here: a conversation of at most a few steps that ends in a user. */
import type { Jid } from "../stanza/jid.ts";
import type { Accounts, Credentials } from "../stores/contract.ts";
import type { PasswordWork } from "./password-work.ts";

/** RFC 6120, 6.5. */
export type SaslCondition =
  | "aborted"
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
  step(message: Buffer): Promise<Step>;
}

export type MechanismName =
  | "SCRAM-SHA-256-PLUS"
  | "SCRAM-SHA-256"
  | "SCRAM-SHA-1-PLUS"
  | "SCRAM-SHA-1"
  | "PLAIN";

/** What a mechanism may ask of its surroundings. */
export interface AuthContext {
  /** The domain of the stream, prepared. */
  readonly domain: string;
  readonly accounts: Pick<Accounts, "credentials">;
  /** What an unknown user is checked against, so that nobody can tell him from a known one. */
  readonly decoys: (user: string) => Credentials;
  /** RFC 9266 `tls-exporter` data; undefined when the stream has none to offer. */
  readonly channelBinding: Buffer | undefined;
  /** A fresh unguessable text of printable ASCII without commas. */
  readonly nonce: () => string;
  readonly passwords: PasswordWork;
}

export const failure = (condition: SaslCondition): Step => ({ kind: "failure", condition });
