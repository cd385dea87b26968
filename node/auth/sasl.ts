/** SASL as RFC 6120, section 6 uses it: one attempt with a mechanism that was offered. */
import { Unavailable } from "../base/errors.ts";
import { AnonymousExchange } from "./anonymous.ts";
import type { AuthContext, Exchange, Step } from "./contract.ts";
import { failure } from "./contract.ts";
import { ExternalExchange } from "./external.ts";
import type { MechanismName } from "./offer.ts";
import { PlainExchange } from "./plain.ts";
import { ScramExchange, strictBase64 } from "./scram.ts";

/** Larger messages are refused before they are decoded. */
const TEXT_MAX = 65_536;

const EXCHANGES: Readonly<Record<MechanismName, (context: AuthContext) => Exchange>> = {
  EXTERNAL: (context) => new ExternalExchange(context),
  "SCRAM-SHA-512-PLUS": (context) => new ScramExchange("SCRAM-SHA-512", true, context),
  "SCRAM-SHA-512": (context) => new ScramExchange("SCRAM-SHA-512", false, context),
  "SCRAM-SHA-256-PLUS": (context) => new ScramExchange("SCRAM-SHA-256", true, context),
  "SCRAM-SHA-256": (context) => new ScramExchange("SCRAM-SHA-256", false, context),
  "SCRAM-SHA-1-PLUS": (context) => new ScramExchange("SCRAM-SHA-1", true, context),
  "SCRAM-SHA-1": (context) => new ScramExchange("SCRAM-SHA-1", false, context),
  PLAIN: (context) => new PlainExchange(context),
  ANONYMOUS: (context) => new AnonymousExchange(context),
};

const isMechanism = (name: string): name is MechanismName => Object.hasOwn(EXCHANGES, name);

/** One attempt to log in, from `<auth/>` to success or failure. */
export class SaslAttempt {
  readonly #exchange: Exchange;

  private constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  /** Undefined: we do not have or here do not offer that mechanism (`invalid-mechanism`). */
  static begin(name: string, context: AuthContext): SaslAttempt | undefined {
    if (!isMechanism(name) || !context.offer.mechanisms.includes(name)) return undefined;
    return new SaslAttempt(EXCHANGES[name](context));
  }

  /** One with a mechanism that is not among the usual ones. */
  static with(exchange: Exchange): SaslAttempt {
    return new SaslAttempt(exchange);
  }

  /** RFC 6120, 6.4.2: a mechanism whose client speaks first is asked for its message. */
  start(): Step {
    return { kind: "challenge", data: Buffer.alloc(0) };
  }

  /**
   * Takes the client's next message in base64. Never rejects for a store that is away: that is a
   * failure to retry.
   */
  respond(text: string): Step | Promise<Step> {
    if (text.length > TEXT_MAX) return failure("malformed-request");
    const message = strictBase64(text);
    if (message === undefined) return failure("incorrect-encoding");
    const step = this.#exchange.step(message);
    return step instanceof Promise ? step.catch(whileAway) : step;
  }
}

function whileAway(error: unknown): Step {
  if (error instanceof Unavailable) return failure("temporary-auth-failure");
  throw error;
}
