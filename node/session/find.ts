/** Where a session is that a client wants to resume; one of another node is brought here. */

import { pause } from "../base/clock.ts";
import { settledWithin } from "../base/deadline.ts";
import { Unavailable } from "../base/errors.ts";
import type { Jid } from "../stanza/jid.ts";
import { adoptSession } from "./adopt.ts";
import { sessionAt } from "./contract.ts";
import type { Door } from "./door-context.ts";
import type { Session } from "./session.ts";

/** "later": it is somewhere, and cannot be had at this moment. */
export type Found = Session | "nowhere" | "later";

/** How often the picture may change while we look, before we wait a little. */
const LOOKS_MAX = 4;
const PAUSE_MS = 500;
/** A node with a copy may not answer for 5 s, and learn within 3 that another's lease has lapsed. */
const PERHAPS_MS = 8_000;
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
  const startMs = clock.monotonicMs();
  let found: Look | undefined;
  for (let look = 1; ; look += 1) {
    const before: Look | undefined = found;
    found = await lookOnce(door, user, id, isWanted);
    if (found === "again" && look % LOOKS_MAX !== 0) continue;
    // It may have gone on somewhere between two of the questions, and its client would begin anew.
    if (found === "nowhere" && before !== "nowhere") continue;
    if (typeof found !== "string" || found === "nowhere") return found;
    const lookedMs = clock.monotonicMs() - startMs;
    if (found === "perhaps" && lookedMs >= PERHAPS_MS) return "nowhere";
    if (!isWanted() || door.isDraining || lookedMs >= limits.findMs) return "later";
    await settled(door, user, id, found);
  }
}

type Look = Found | "again" | "kept" | "perhaps" | "away";

/** Whoever has a copy of it knows best when to look again. */
async function settled({ events, clock }: Door, user: Jid, id: string, look: Look): Promise<void> {
  const isElsewhere = look !== "later" && look !== "again";
  const kept = isElsewhere ? await events.isKept?.(user.bare, id, true) : undefined;
  if (kept === undefined || kept === "gone") await pause(clock, PAUSE_MS);
}

async function lookOnce(door: Door, user: Jid, id: string, isWanted: () => boolean): Promise<Look> {
  const here = sessionAt(door.sessions, { user: user.bare, session: id });
  if (here !== undefined) {
    if (here.moving === undefined) {
      here.endIfClosing();
      return here.isResumable ? here : "nowhere";
    }
    const { moving } = here;
    await settledWithin(door.clock, MOVING_MS, moving);
    return here.moving === moving ? "later" : "again";
  }
  const { events } = door;
  if (events.fetchSession === undefined) return "nowhere";
  try {
    const seen = await door.routes.read(user.bare);
    // A node that stood still reads what clients said who have gone on elsewhere since.
    if (!isWanted()) return "later";
    const route = seen.routes.find(({ session }) => session === id);
    if (route === undefined || route.node === door.selfIncarnation) {
      // Between the death of its node and the moment at which another has its route.
      const kept = (await events.isKept?.(user.bare, id)) ?? "gone";
      // Without a lease this node knows of no other for sure, and could not bind the client instead.
      return kept !== "gone" ? kept : door.routes.holdsLease ? "nowhere" : "later";
    }
    const incoming = await events.fetchSession(route);
    if (incoming === "gone") return "again";
    if (incoming === "later" || incoming === "away") return incoming;
    const adopted = await adoptSession(door, incoming, seen);
    return adopted === "never" ? "later" : adopted;
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    door.log.debug({ session: id, code: error.code }, "session-not-fetched");
    return "later";
  }
}
