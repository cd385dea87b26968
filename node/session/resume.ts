/** XEP-0198, section 5: a client that has logged in goes on with a session whose stream broke. */

import { settledWithin } from "../base/deadline.ts";
import type { Jid } from "../stanza/jid.ts";
import type { ServerStream } from "../stream/stream.ts";
import type { Door } from "./door-context.ts";
import type { Found } from "./find.ts";
import { findSession } from "./find.ts";
import { acksFailed, countTooHigh, readCount, resumed } from "./nonzas.ts";
import type { Session } from "./session.ts";

const ELSEWHERE = "Your session cannot be reached now: resume again";

/** What a `<resume/>` says. */
export interface ResumeRequest {
  readonly previd: string;
  readonly h: number;
}

export type ResumeOutcome =
  | {
      readonly kind: "resumed";
      readonly session: Session;
      /** `<resumed/>`, which must reach the client before `begin` is called, in the same turn. */
      readonly element: Buffer;
      /** The session takes over the stream, and what the client has not got follows. */
      readonly begin: () => void;
    }
  /** `<failed/>`: the client may bind instead (section 5). */
  | { readonly kind: "failed"; readonly element: Buffer }
  /** The stream is over, or has just been closed with an error: nothing is left to say. */
  | { readonly kind: "closed" };

/** Undefined when it is not valid. */
export function readResume({
  previd,
  h,
}: Readonly<Record<string, string>>): ResumeRequest | undefined {
  const count = readCount(h);
  return !previd || count === undefined ? undefined : { previd, h: count };
}

/**
 * Resumes a session of `user`, who has logged in on `stream` and has not bound a resource there.
 * The stream's owner stays in charge of it until `begin`.
 * @param request what readResume made of the `<resume/>`
 */
export async function resumeSession(
  door: Door,
  stream: ServerStream,
  user: Jid,
  request: ResumeRequest | undefined,
): Promise<ResumeOutcome> {
  const { config, stats } = door;
  if (config.resumeSeconds === 0) return failed("feature-not-implemented");
  if (request === undefined) return failed("bad-request");
  const { previd } = request;
  const found = await findSession(door, user, previd, () => !stream.isOver);
  const outcome = await outcomeOf(door, stream, user, found, request);
  if (outcome.kind !== "resumed") {
    stats.resumptionsFailed += 1;
    const was = typeof found === "string" ? found : "here";
    door.log.info({ session: previd, was, isOver: stream.isOver }, "session-not-resumed");
  }
  return outcome;
}

function outcomeOf(
  door: Door,
  stream: ServerStream,
  user: Jid,
  found: Found,
  { previd, h }: ResumeRequest,
): ResumeOutcome | Promise<ResumeOutcome> {
  if (found === "nowhere") return notFound(door, user, previd);
  if (found === "later") return later(stream, ELSEWHERE);
  return goOn(door, stream, found, h);
}

/** Not `<failed/>`: the client would begin a new session and send everything again there. */
function later(stream: ServerStream, text: string): ResumeOutcome {
  stream.close({ condition: "resource-constraint", text });
  return { kind: "closed" };
}

async function goOn(
  door: Door,
  stream: ServerStream,
  session: Session,
  h: number,
): Promise<ResumeOutcome> {
  const { jid, id } = session;
  // It was looked for so long that its client may have gone on with it meanwhile, by another connection.
  if (stream.isOver) return { kind: "closed" };
  if (!session.claim(stream, h)) {
    // Section 4: it lost count, and would again. As when it says so on a live stream.
    const application = countTooHigh(h, session.acks.outgoing.sentCount);
    session.close();
    stream.close({ condition: "undefined-condition", application });
    return { kind: "closed" };
  }
  // `h` tells the client what to send again: none of it may be accepted after all, or be unknown to
  // the node that goes on when this one dies.
  let isKnown = false;
  const known = session.acks.inbox.whenAccepted().then(async () => {
    isKnown = (await session.whenSafe()) ?? true;
  });
  await settledWithin(door.clock, door.limits.acceptMs, known);
  if (session.isOver) {
    // Without an end of its own it is another node's, which took it over.
    return session.ending === undefined ? later(stream, ELSEWHERE) : notFound(door, jid, id);
  }
  if (!session.isClaimedBy(stream)) {
    stream.close({ condition: "conflict", text: "Resumed by a new connection" });
    return { kind: "closed" };
  }
  if (session.acks.inbox.unaccepted > 0 || !isKnown) {
    session.disclaim(stream);
    return later(stream, "What you sent before is still being handled: resume again");
  }
  if (stream.isOver) {
    session.disclaim(stream);
    return { kind: "closed" };
  }
  const element = resumed(id, session.acks.inbox.handled);
  return { kind: "resumed", session, element, begin: () => session.resume(stream) };
}

/** There is no such session, or none of this user. If there was, what it accepted is said. */
async function notFound(door: Door, user: Jid, previd: string): Promise<ResumeOutcome> {
  const former = door.formerly.get(previd);
  if (former?.user !== user.bare) return failed("item-not-found");
  await settledWithin(door.clock, door.limits.acceptMs, former.inbox.whenAccepted());
  return failed("item-not-found", former.inbox.handled);
}

const failed = (condition: string, h?: number): ResumeOutcome => ({
  kind: "failed",
  element: acksFailed(condition, h),
});
