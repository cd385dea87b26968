/** What happens after a session: its rest is handed over, then its route is withdrawn. */
import type { Route } from "../routes/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { ClientSession } from "./contract.ts";
import { sessionAt } from "./contract.ts";
import type { Door } from "./door-context.ts";

const FIRST_PAUSE_MS = 250;

/**
 * Gives the session's unacknowledged stanzas back and withdraws its route after that, so that
 * nobody is told "not here" while they are on their way. Never rejects: what cannot be handed over
 * within the attempts is logged with its count.
 */
export function handOver(
  door: Door,
  session: ClientSession,
  unacknowledged: readonly Envelope[],
): Promise<void> {
  const waiting = { session: session.id, unacknowledged: unacknowledged.length };
  door.stats.stanzasUnacknowledged += unacknowledged.length;
  if (unacknowledged.length > 0) door.log.info(waiting, "session-passes-on");
  return tracked(door, async () => {
    const isDone = await attempt(
      door,
      () => door.events.onEnded(session, unacknowledged),
      "session-end-not-handed-over",
      waiting,
    );
    if (!isDone) door.stats.endingsFailed += 1;
    // What a node that goes could not hand over is left to the session's shadow.
    if (!isDone && door.isDraining && door.events.shadow !== undefined) return;
    await withdraw(door, session.route);
    door.events.shadow?.end(session);
  });
}

/** Withdraws a route that never got a session. Never rejects. */
export const release = (door: Door, route: Route): Promise<void> =>
  tracked(door, () => withdraw(door, route));

const withdraw = async (door: Door, route: Route): Promise<void> => {
  const { session } = route;
  // Another node took it over before it ended here, and it has come back since: the route is that one's.
  const isBack = () => sessionAt(door.sessions, route) !== undefined;
  const unbind = () => isBack() || door.routes.unbind(route);
  await attempt(door, unbind, "route-not-withdrawn", { session });
};

/** Counts the work, which never rejects, among those that a drain waits for. */
export function tracked(door: Door, work: () => Promise<void>): Promise<void> {
  const ending = work().then(() => void door.endings.delete(ending));
  door.endings.add(ending);
  return ending;
}

/** Tries a few times with growing pauses; false, and an error in the log, when all failed. */
async function attempt(
  door: Door,
  work: () => unknown,
  event: string,
  fields: object,
): Promise<boolean> {
  const { endingAttempts, endingPauseMaxMs } = door.limits;
  for (let count = 1; ; count += 1) {
    try {
      await work();
      return true;
    } catch (error) {
      if (count >= endingAttempts || door.givingUp.signal.aborted) {
        door.log.error({ ...fields, attempts: count, err: error }, event);
        return false;
      }
      door.log.warn({ ...fields, attempts: count, err: error }, `${event}-yet`);
      const pauseMs = Math.min(endingPauseMaxMs, FIRST_PAUSE_MS * 2 ** (count - 1));
      await pause(door, pauseMs);
    }
  }
}

/** Waits, or less when the drain's deadline passes meanwhile. */
async function pause(door: Door, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { signal } = door.givingUp;
  const timer = door.clock.after(ms, resolve);
  const onAbort = () => resolve();
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) resolve();
  await promise;
  signal.removeEventListener("abort", onAbort);
  timer.cancel();
}
