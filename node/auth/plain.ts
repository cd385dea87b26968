/** RFC 4616 PLAIN, checked against the stored key of SCRAM-SHA-256. Only offered where it is safe. */
import { isUtf8 } from "node:buffer";
import type { AuthContext, Exchange, Step } from "./contract.ts";
import { failure } from "./contract.ts";
import { keysOf } from "./credentials.ts";
import { sameBytes } from "./hashes.ts";
import { lookUp, mayActAs, userOf } from "./lookup.ts";
import { preparePassword } from "./saslprep.ts";

export class PlainExchange implements Exchange {
  readonly #context: AuthContext;

  constructor(context: AuthContext) {
    this.#context = context;
  }

  async step(message: Buffer): Promise<Step> {
    const parts = isUtf8(message) ? message.toString("utf8").split("\0") : [];
    const [authzid, name, password] = parts;
    if (parts.length !== 3 || authzid === undefined || !name || !password) {
      return failure("malformed-request");
    }
    const user = userOf(name, this.#context.domain);
    const prepared = await preparePassword(password);
    if (user === undefined || prepared === undefined) return failure("not-authorized");
    const { credentials, isKnown } = await lookUp(user, this.#context);
    const { salt, iterations, storedKey } = credentials["SCRAM-SHA-256"];
    const salted = await this.#context.passwords.salted(prepared, salt, iterations, "sha256");
    const isRight = sameBytes(keysOf("sha256", salted).storedKey, storedKey);
    if (!isRight || !isKnown) return failure("not-authorized");
    this.#context.upgrades.consider(user.bare, credentials, prepared);
    // Only after the password: who cannot log in learns nothing about identities.
    if (!mayActAs(user, authzid)) return failure("invalid-authzid");
    return { kind: "success", user, data: undefined };
  }
}
