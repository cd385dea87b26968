/** Sends the clients of a node elsewhere, at a set rate, and waits until nothing is left here. */

import { pause } from "../base/clock.ts";
import { settledWithin } from "../base/deadline.ts";
import type { Door } from "./door-context.ts";
import { tracked } from "./ending.ts";
import { Offers } from "./offers.ts";
import type { Session } from "./session.ts";

export interface DrainOptions {
  /** Sessions closed in a second; more when the deadline would pass otherwise. */
  readonly perSecond: number;
  /** Milliseconds from now after which nothing is waited for any more. */
  readonly deadlineMs: number;
}

const TICK_MS = 50;
/** How long a client gets to say what it has received, before its stream is ended. */
const ACKNOWLEDGE_MS = 500;
/** Share of the deadline in which all sessions are closed; the rest is for handing over. */
const CLOSING_SHARE = 0.6;
/** Share of it that is left for the ends of sessions which nobody took over. */
const ENDING_SHARE = 0.3;
/** Share of it at which sessions end that no other node turned out to have a copy of. */
const LAST_SHARE = 0.15;
/** How long clients get to resume elsewhere before their sessions are left to their shadows. */
const LINGER_MS = 10_000;

const isWaiting = (session: Session): boolean => session.isDetached && session.moving === undefined;

/** Another node has a copy of all of it, and goes on with it as soon as this one is gone. */
const isLeft = (door: Door, offers: Offers | undefined, session: Session): boolean =>
  isWaiting(session) &&
  offers?.isOver(session) === true &&
  door.events.shadow?.isSafe(session) === true;

/**
 * Closes all streams with `system-shutdown` and waits until each session goes on elsewhere, because its
 * client or this node asked for it, is left to its shadow, or has handed over what its client had not
 * acknowledged. Resolves at the deadline at the latest; what is left then is logged.
 */
export async function drainSessions(door: Door, options: DrainOptions): Promise<void> {
  const { clock, log } = door;
  const startMs = clock.monotonicMs();
  const leftMs = () => Math.max(0, options.deadlineMs - (clock.monotonicMs() - startMs));
  const perSecond = Math.max(
    options.perSecond,
    door.sessions.size / Math.max(0.001, (options.deadlineMs * CLOSING_SHARE) / 1_000),
  );
  log.info({ sessions: door.sessions.size, perSecond }, "drain-started");
  await closePaced(door, perSecond, leftMs);
  await untilTakenOver(door, () => leftMs() - options.deadlineMs * ENDING_SHARE);
  const { shadow } = door.events;
  const offers = shadow && new Offers(shadow);
  const open = () => [...door.sessions.all()].filter((one) => !isLeft(door, offers, one));
  for (;;) {
    const here = open();
    if (here.length === 0 && door.endings.size === 0) break;
    offers?.make(here.filter(isWaiting));
    const remainingMs = leftMs();
    if (remainingMs === 0) break;
    if (remainingMs < options.deadlineMs * LAST_SHARE) {
      offers?.stop();
      endDetached(open());
    }
    const endings = Promise.allSettled([...door.endings]);
    const isNoneYet = door.endings.size === 0;
    await settledWithin(clock, Math.min(remainingMs, isNoneYet ? TICK_MS : 1_000), endings);
    if (isNoneYet) await pause(clock, TICK_MS);
  }
  shadow?.left();
  door.givingUp.abort();
  // Nothing may be waited for any more, but what the attempts say when they stop is still heard.
  await Promise.resolve();
  const failed = open();
  const unacknowledged = failed.reduce(
    (sum, session) => sum + session.acks.outgoing.unacknowledgedCount,
    0,
  );
  const shadowed = door.sessions.size - failed.length;
  const left = { sessions: failed.length, endings: door.endings.size, unacknowledged, shadowed };
  if (left.sessions + left.endings === 0) log.info({ shadowed }, "drain-finished");
  else log.error(left, "drain-deadline-passed");
}

/** Sessions that their clients may resume elsewhere are kept for that, as long as there is time. */
async function untilTakenOver(door: Door, leftMs: () => number): Promise<void> {
  const { clock, events, routes } = door;
  const all = () => [...door.sessions.all()];
  const lingerMs = events.shadow === undefined ? Number.POSITIVE_INFINITY : LINGER_MS;
  const untilMs = clock.monotonicMs() + Math.min(lingerMs, leftMs());
  while (clock.monotonicMs() < untilMs && routes.nodes.size > 0) {
    if (!all().some(({ isResumable }) => isResumable)) break;
    await pause(clock, TICK_MS);
  }
  door.isEnding = true;
  const { shadow } = events;
  if (shadow !== undefined) void tracked(door, () => shadow.leave());
  // Those that are not safe yet get a moment more for it.
  if (events.shadow === undefined || routes.nodes.size === 0) endDetached(all());
}

/** But what is on its way is another node's, or ends when it turns out to be ours. */
function endDetached(sessions: readonly Session[]): void {
  for (const session of sessions) {
    if (isWaiting(session)) session.close();
  }
}

async function closePaced(door: Door, perSecond: number, leftMs: () => number): Promise<void> {
  const waiting = [...door.sessions.all()];
  let budget = 0;
  let next = 0;
  while (next < waiting.length && leftMs() > 0) {
    budget += (perSecond * TICK_MS) / 1_000;
    for (; budget >= 1 && next < waiting.length; budget -= 1, next += 1) {
      void dismiss(door, waiting[next] as Session);
    }
    if (next < waiting.length) await pause(door.clock, TICK_MS);
  }
}

/** First hears what the client has received, so that it does not get that again elsewhere. */
async function dismiss(door: Door, session: Session): Promise<void> {
  if (session.acks.outgoing.unacknowledgedCount > 0) {
    session.askForAcknowledgement();
    await settledWithin(door.clock, ACKNOWLEDGE_MS, session.whenAcknowledged());
  }
  session.close("system-shutdown", "This node is shutting down");
}
