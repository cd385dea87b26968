/** SASL as RFC 6120, section 6 uses it: which mechanisms are offered, and one attempt with one. */
import { Unavailable } from "../base/errors.ts";
import type { AuthContext, Exchange, MechanismName, Step } from "./contract.ts";
import { failure } from "./contract.ts";
import { PlainExchange } from "./plain.ts";
import { ScramExchange, strictBase64 } from "./scram.ts";

/** Larger messages are refused before they are decoded. */
const TEXT_MAX = 65_536;

const EXCHANGES: Readonly<Record<MechanismName, (context: AuthContext) => Exchange>> = {
  "SCRAM-SHA-256-PLUS": (context) => new ScramExchange("SCRAM-SHA-256", true, context),
  "SCRAM-SHA-256": (context) => new ScramExchange("SCRAM-SHA-256", false, context),
  "SCRAM-SHA-1-PLUS": (context) => new ScramExchange("SCRAM-SHA-1", true, context),
  "SCRAM-SHA-1": (context) => new ScramExchange("SCRAM-SHA-1", false, context),
  PLAIN: (context) => new PlainExchange(context),
};

const isMechanism = (name: string): name is MechanismName => Object.hasOwn(EXCHANGES, name);

/** What a stream offers, the best first; -PLUS only where there is a channel to bind to. */
export const mechanismsFor = (hasChannelBinding: boolean): readonly MechanismName[] =>
  hasChannelBinding
    ? ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN"]
    : ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"];

/** One attempt to log in, from `<auth/>` to success or failure. */
export class SaslAttempt {
  readonly #exchange: Exchange;

  private constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  /** Undefined: we do not have or here do not offer that mechanism (`invalid-mechanism`). */
  static begin(name: string, context: AuthContext): SaslAttempt | undefined {
    if (!isMechanism(name)) return undefined;
    if (!mechanismsFor(context.channelBinding !== undefined).includes(name)) return undefined;
    return new SaslAttempt(EXCHANGES[name](context));
  }

  /**
   * Takes the text of `<auth/>`. RFC 6120, 6.4.2: no text means no initial response, which our
   * mechanisms answer with an empty challenge; "=" means an empty one.
   */
  async initial(text: string): Promise<Step> {
    if (text === "") return { kind: "challenge", data: Buffer.alloc(0) };
    return this.respond(text === "=" ? "" : text);
  }

  /** Takes the text of `<response/>`. Never rejects: a store that is away is a failure to retry. */
  async respond(text: string): Promise<Step> {
    if (text.length > TEXT_MAX) return failure("malformed-request");
    const message = strictBase64(text);
    if (message === undefined) return failure("incorrect-encoding");
    try {
      return await this.#exchange.step(message);
    } catch (error) {
      if (error instanceof Unavailable) return failure("temporary-auth-failure");
      throw error;
    }
  }
}
