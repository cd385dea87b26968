/** Where a session is that a client wants to resume; one of another node is brought here. */
import { Unavailable } from "../base/errors.ts";
import type { RouteSet } from "../routes/contract.ts";
import { Jid } from "../stanza/jid.ts";
import type { Incoming } from "./contract.ts";
import type { Door } from "./door-context.ts";
import { settledWithin } from "./ending.ts";
import { Session } from "./session.ts";

/** "later": it is somewhere, and cannot be had at this moment. */
export type Found = Session | "nowhere" | "later";

/** How often the picture may change while we look, before we wait a little. */
const LOOKS_MAX = 4;
const PAUSE_MS = 500;
/** How long a session that is moving already is waited for. */
const MOVING_MS = 15_000;

/**
 * Of `user`'s sessions the one with that id, if it can be resumed. A node that does not answer is
 * waited for, within limits: it comes back, or its lease lapses and with it the session.
 * @param isWanted whether the client is still there
 */
export async function findSession(
  door: Door,
  user: Jid,
  id: string,
  isWanted: () => boolean,
): Promise<Found> {
  const { clock, limits } = door;
  const untilMs = clock.monotonicMs() + limits.findMs;
  for (let look = 1; ; look += 1) {
    const found = await lookOnce(door, user, id);
    if (found === "again" && look % LOOKS_MAX !== 0) continue;
    if (found !== "again" && found !== "later") return found;
    if (!isWanted() || door.isDraining || clock.monotonicMs() >= untilMs) return "later";
    await new Promise<void>((resolve) => clock.after(PAUSE_MS, resolve));
  }
}

async function lookOnce(door: Door, user: Jid, id: string): Promise<Found | "again"> {
  const here = door.sessions.ofUser(user.bare).find((one) => one.id === id);
  if (here !== undefined) {
    if (here.moving === undefined) return here.isResumable ? here : "nowhere";
    const { moving } = here;
    await settledWithin(door.clock, MOVING_MS, moving);
    return here.moving === moving ? "later" : "again";
  }
  if (door.events.fetchSession === undefined) return "nowhere";
  try {
    const seen = await door.routes.read(user.bare);
    const route = seen.routes.find(({ session }) => session === id);
    if (route === undefined || route.node === door.selfIncarnation) return "nowhere";
    const incoming = await door.events.fetchSession(route);
    if (incoming === "gone") return "again";
    return incoming === "later" ? "later" : await adopt(door, incoming, seen);
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    door.log.warn({ session: id, code: error.code }, "session-not-fetched");
    return "later";
  }
}

/**
 * Makes the session ours, once the routes say so. What comes for it meanwhile waits.
 * @param seen the user's routes as they were before it was given away
 */
async function adopt(
  door: Door,
  { state, install }: Incoming,
  seen: RouteSet,
): Promise<Session | "again"> {
  const route = { ...state.route, node: door.selfIncarnation };
  const jid = Jid.prepared(`${route.user}/${route.resource}`);
  if (door.isDraining || door.sessions.get(jid.full) !== undefined) return "again";
  const session = new Session(door, undefined, { jid, route, revision: 0 });
  session.restore(state);
  door.sessions.add(session);
  try {
    session.revision = (await door.routes.takeOver(route, seen)).revision;
  } catch (error) {
    session.forget();
    if (error instanceof Unavailable && error.code === "routes-moved") return "again";
    throw error;
  }
  if (!session.isResumable) return "again"; // Its address was taken at once.
  door.stats.sessionsMovedIn += 1;
  install(session);
  session.thaw();
  return session;
}
