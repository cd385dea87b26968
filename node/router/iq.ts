/** Requests that the server answers itself, or on behalf of an account (RFC 6121, 8.5.2.1.3). */
import { ConfigError } from "../base/errors.ts";
import type { ClientSession } from "../session/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import { StanzaError } from "../stanza/error.ts";
import type { Jid } from "../stanza/jid.ts";
import { resultReply } from "../stanza/reply.ts";
import { Element } from "../xml/element.ts";
import type { Written } from "../xml/write.ts";
import { errorOf } from "./bounce.ts";
import type { Owned } from "./stages.ts";

/**
 * Whom a request is for: the server's own domain; the sender's own account; anybody else's, also where there
 * is none; or any account that there is (unless there is a handler for "self" or "another").
 */
export type IqTarget = "server" | "self" | "another" | "account";

/** Who is asked, and whose handlers answer. */
const TARGETS = {
  server: ["server"],
  self: ["self", "account"],
  another: ["another", "account"],
  nobody: ["another"],
} as const satisfies Readonly<Record<string, readonly IqTarget[]>>;

export type Asked = keyof typeof TARGETS;

export interface IqRequest {
  readonly from: Jid;
  readonly to: Jid;
  readonly payload: Element;
  readonly envelope: Envelope;
  /** The session that asked, when it is one of this node's. */
  readonly session: ClientSession | undefined;
}

type Payload = Element | Written | undefined;

/** Answers with the result's payload, or throws a StanzaError. */
export type IqHandler = (request: IqRequest) => Payload | Promise<Payload>;

export interface IqRegistration {
  readonly kind: "iq";
  readonly target: IqTarget;
  readonly type: "get" | "set";
  readonly ns: string;
  readonly name: string;
  readonly run: IqHandler;
}

const registration =
  (type: "get" | "set") =>
  (target: IqTarget, ns: string, name: string, run: IqHandler): IqRegistration => ({
    kind: "iq",
    target,
    type,
    ns,
    name,
    run,
  });

export const iq = { get: registration("get"), set: registration("set") };

const keyOf = (target: IqTarget, type: string, ns: string, name: string) =>
  `${target} ${type} ${ns} ${name}`;

export class IqTable {
  readonly #handlers = new Map<string, IqHandler>();

  /** @throws ConfigError when two handlers answer the same request. */
  constructor(registrations: readonly Owned<IqRegistration>[]) {
    for (const { module, registration: one } of registrations) {
      const key = keyOf(one.target, one.type, one.ns, one.name);
      if (this.#handlers.has(key)) {
        throw new ConfigError(`Cannot load module ${module}: another one answers ${key} already`);
      }
      this.#handlers.set(key, one.run);
    }
  }

  /** The answer to the sender, as bytes; at once where its handler can. Never fails with a StanzaError. */
  answer(
    envelope: Envelope,
    asked: Asked,
    session: ClientSession | undefined,
  ): Buffer | undefined | Promise<Buffer | undefined> {
    try {
      const { from, to } = envelope;
      const payload = envelope.element().children.find((child) => child instanceof Element);
      if (payload === undefined) throw new StanzaError("bad-request");
      const run = this.#find(envelope, asked);
      const answer = run({ from, to, payload, envelope, session });
      return answer instanceof Promise
        ? replyLater(envelope, answer)
        : resultReply(envelope, answer);
    } catch (error) {
      return refusalOf(envelope, error);
    }
  }

  #find({ type, children }: Envelope, asked: Asked): IqHandler {
    const { name, ns } = children[0] ?? { name: "", ns: "" };
    for (const target of TARGETS[asked]) {
      const handler = this.#handlers.get(keyOf(target, type, ns, name));
      if (handler !== undefined) return handler;
    }
    throw new StanzaError("service-unavailable");
  }
}

async function replyLater(envelope: Envelope, answer: Promise<Payload>) {
  try {
    return resultReply(envelope, await answer);
  } catch (error) {
    return refusalOf(envelope, error);
  }
}

function refusalOf(envelope: Envelope, error: unknown): Buffer | undefined {
  if (error instanceof StanzaError) return errorOf(envelope, error)?.bytes;
  throw error;
}
