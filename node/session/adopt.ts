/** A session that another node has given away, or left when it died, goes on at this one. */

import { settledWithin } from "../base/deadline.ts";
import { Unavailable } from "../base/errors.ts";
import type { RouteSet } from "../routes/contract.ts";
import { movedTo } from "../routes/contract.ts";
import { Jid } from "../stanza/jid.ts";
import type { Incoming } from "./contract.ts";
import type { Door } from "./door-context.ts";
import { Session } from "./session.ts";

/** How long it waits for a shadow of its own before it goes on without one. */
const SHADOW_MS = 2_000;

/**
 * Makes the session ours, once the routes say so. What comes for it meanwhile waits.
 * @param seen the user's routes as they were before it was given away, or after its node died
 * @returns "again" when the routes have changed since, or its address is taken here; "never" when
 *   this node goes itself, or another has gone on with the session from where this is
 * @throws Unavailable when the routes cannot be written
 */
export async function adoptSession(
  door: Door,
  { state, copy, catchUp, install, undo, onTaken }: Incoming,
  seen: RouteSet,
): Promise<Session | "again" | "never"> {
  // As it was, until it is ours: who has a copy of it here must not think that it has gone on.
  const route = { ...state.route, node: door.selfIncarnation };
  const jid = Jid.prepared(`${route.user}/${route.resource}`);
  if (door.givingUp.signal.aborted) return "never";
  if (door.sessions.get(jid.full) !== undefined) return "again";
  const session = new Session(door, undefined, { jid, route, revision: 0 });
  session.restore(state);
  door.sessions.add(session);
  install(session);
  // Its shadow has it before it is ours: from then on we may die.
  door.events.shadow?.begin(session);
  try {
    const safe = session.whenSafe();
    if (safe !== undefined) await settledWithin(door.clock, SHADOW_MS, safe);
    if (session.isOver) return "again"; // Another node has it as it was later.
    const next = movedTo(door.selfIncarnation, state.route);
    const { revision, routes } = await door.routes.takeOver(next, seen, copy);
    session.revision = revision;
    session.route = routes.find((one) => one.session === session.id) ?? next;
  } catch (error) {
    undo(session, session.forget());
    const code = error instanceof Unavailable ? error.code : "";
    door.log.debug({ session: session.id, from: state.route.node, code }, "session-not-taken-over");
    if (code === "routes-moved") return "again";
    if (code === "routes-gone-on") return "never";
    throw error;
  }
  const give = await catchUp?.(session);
  if (session.isOver) return "again"; // Its address was taken at once.
  door.stats.sessionsMovedIn += 1;
  const unacknowledged = state.waiting.length;
  // A death leaves thousands at once: of those router/keeping.ts says how many they are.
  door.log.debug(
    { session: session.id, from: state.route.node, isCopy: copy !== undefined, unacknowledged },
    "session-taken-over",
  );
  onTaken(session);
  session.thaw();
  give?.();
  return session;
}
