/**
 * XEP-0388: what a client asks for along with its login is done before it is told that it has logged
 * in, and no new header is needed. First its tokens (XEP-0484), then the session it had (XEP-0198),
 * and if there is none any more, a new one (XEP-0386).
 */
import { Unavailable } from "../base/errors.ts";
import type { Jid } from "../stanza/jid.ts";
import { sessionFeatures } from "../stream/features.ts";
import type { ServerStream } from "../stream/stream.ts";
import type { BindOutcome } from "./bind.ts";
import { bindResource } from "./bind.ts";
import { addressOf, enableAll } from "./bind2.ts";
import type { Door } from "./door-context.ts";
import type { Login } from "./login.ts";
import { resumeSession } from "./resume.ts";
import type { BindWish, Wishes } from "./sasl2.ts";
import { success, tokenElement } from "./sasl2.ts";
import type { Session } from "./session.ts";

export type AtOnceOutcome =
  /** The stream is the session's now. */
  | { readonly kind: "session"; readonly session: Session }
  /** It binds later, as RFC 6120 says. */
  | { readonly kind: "unbound" }
  /** Nothing is done, nothing is said: it may try again. */
  | { readonly kind: "refused" }
  | { readonly kind: "gone"; readonly condition: string }
  /** The stream is over, or has been closed already. */
  | { readonly kind: "closed" };

/** A login that has succeeded. */
export interface LoggedIn {
  readonly user: Jid;
  /** For the client, from the mechanism. */
  readonly data: Buffer | undefined;
  readonly wishes: Wishes;
}

export async function finishAtOnce(
  door: Door,
  stream: ServerStream,
  login: Login,
  { user, data, wishes }: LoggedIn,
): Promise<AtOnceOutcome> {
  let extensions: string;
  try {
    extensions = tokenElement(await login.settleTokens(user, wishes));
  } catch (error) {
    if (error instanceof Unavailable) return { kind: "refused" };
    throw error;
  }
  if (wishes.resume !== undefined) {
    const outcome = await resumeSession(door, stream, user, wishes.resume.request);
    if (outcome.kind === "closed") return outcome;
    extensions += outcome.element.toString();
    if (outcome.kind === "resumed") {
      const { session } = outcome;
      stream.authenticated();
      stream.write(success(session.jid.full, data, extensions));
      stream.write(sessionFeatures(door.announced, true));
      outcome.begin();
      return { kind: "session", session };
    }
  }
  if (wishes.bind !== undefined) {
    const address = addressOf(door, user, wishes);
    return told(await bindResource(door, stream, address, welcomer(wishes.bind, extensions)));
  }
  stream.authenticated();
  stream.write(success(user.bare, data, extensions));
  stream.write(door.boundFeatures);
  return { kind: "unbound" };

  function welcomer(wish: BindWish, before: string) {
    return async (session: Session): Promise<readonly Buffer[]> => {
      const bound = await enableAll(door, session, wish);
      stream.authenticated();
      return [
        success(session.jid.full, data, before + bound),
        sessionFeatures(door.announced, session.acks.outgoing.isEnabled),
      ];
    };
  }
}

const told = (outcome: BindOutcome): AtOnceOutcome =>
  outcome.kind === "bound" ? { kind: "session", session: outcome.session } : outcome;
