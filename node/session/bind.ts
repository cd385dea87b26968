/** Resource binding (RFC 6120, section 7): the route is committed before the client is told. */

import { settledWithin } from "../base/deadline.ts";
import { Unavailable } from "../base/errors.ts";
import { randomId } from "../base/random.ts";
import type { BindResult, Route } from "../routes/contract.ts";
import { Jid } from "../stanza/jid.ts";
import { NS_BIND } from "../stream/namespaces.ts";
import type { ServerStream } from "../stream/stream.ts";
import type { ParsedStanza } from "../xml/contract.ts";
import { child, text } from "../xml/names.ts";
import { escapeText } from "../xml/write.ts";
import type { Door } from "./door-context.ts";
import { release } from "./ending.ts";
import { iqResult } from "./replies.ts";
import { Session } from "./session.ts";

/** How long a new session waits for the one it replaces to be gone, so that its end comes first. */
const REPLACED_WAIT_MS = 1_000;

export type BindOutcome =
  | { readonly kind: "bound"; readonly session: Session }
  | { readonly kind: "refused"; readonly condition: "bad-request" | "resource-constraint" }
  /** The client left, the node drains, or the address is another's already: nothing is left. */
  | { readonly kind: "gone"; readonly condition: "system-shutdown" | "conflict" };

/** What a new session's client is told when the session goes live, element by element. */
export type Welcome = (session: Session) => readonly Buffer[] | Promise<readonly Buffer[]>;

const REFUSED: BindOutcome = { kind: "refused", condition: "resource-constraint" };

/** The resource the client wishes, "" if it leaves the choice to us. */
export function wishedResource(request: ParsedStanza): string {
  const bind = child(request.element(), "bind", NS_BIND);
  const resource = bind === undefined ? undefined : child(bind, "resource", NS_BIND);
  return resource === undefined ? "" : text(resource);
}

/** RFC 6120, 7.6.1. */
export const bindResult =
  (request: ParsedStanza): Welcome =>
  ({ jid }) => [
    iqResult(request, `<bind xmlns='${NS_BIND}'><jid>${escapeText(jid.full)}</jid></bind>`),
  ];

/** 7.7.2.2: a resource that RFC 7622 refuses is the client's mistake; undefined then. */
export function addressFor(user: Jid, wished: string, door: Door): Jid | undefined {
  try {
    return Jid.from(user.local, user.domain, wished === "" ? randomId(door.random) : wished);
  } catch {
    return undefined;
  }
}

/**
 * Binds a resource for a user who has logged in. Ends the session that held the address before.
 * The session is in the table, and holds what comes for it, from the commit on.
 * @param jid undefined: nobody can have such an address
 */
export async function bindResource(
  door: Door,
  stream: ServerStream,
  jid: Jid | undefined,
  welcome: Welcome,
): Promise<BindOutcome> {
  if (jid === undefined) return { kind: "refused", condition: "bad-request" };
  const route: Route = {
    user: jid.bare,
    resource: jid.resource,
    node: door.selfIncarnation,
    session: randomId(door.random),
    available: false,
    priority: 0,
  };
  const result = await commit(door, route);
  if (result === undefined) return REFUSED;
  const { replaced } = result;
  const session = new Session(door, stream, { jid, route, revision: result.set.revision });
  const present = door.sessions.get(jid.full);
  // Two binds of one address at once: their answers may come in either order.
  if (present !== undefined && present.revision > session.revision) {
    void release(door, route);
    return { kind: "gone", condition: "conflict" };
  }
  present?.close("conflict", "Replaced by a new connection");
  const old = present?.id === replaced?.session ? present : undefined;
  if (stream.isOver || door.isDraining) {
    void release(door, route);
    await endReplaced(door, old);
    return { kind: "gone", condition: "system-shutdown" };
  }
  door.sessions.add(session);
  door.stats.sessionsBound += 1;
  await endReplaced(door, old);
  return announce(door, session, replaced, welcome);
}

/** Undefined when the routes engine could not: then nothing is bound (contract of Routes). */
async function commit(door: Door, route: Route): Promise<BindResult | undefined> {
  try {
    return await door.routes.bind(route);
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    door.log.warn({ code: error.code }, "bind-unavailable");
    return undefined;
  }
}

/** Waits a little, so that contacts see the old session's end before the new one's begin. */
async function endReplaced(door: Door, old: Session | undefined): Promise<void> {
  if (old?.ending !== undefined) await settledWithin(door.clock, REPLACED_WAIT_MS, old.ending);
}

async function announce(
  door: Door,
  session: Session,
  replaced: Route | undefined,
  welcome: Welcome,
): Promise<BindOutcome> {
  try {
    await door.events.onBound(session, replaced);
    session.goLive(await welcome(session));
  } catch (error) {
    door.log.warn({ session: session.id, err: error }, "bind-not-announced");
    session.abandon();
    return REFUSED;
  }
  return { kind: "bound", session };
}
