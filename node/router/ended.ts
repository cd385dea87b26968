/**
 * What happens to the stanzas of a session that is over: messages that its client did not
 * acknowledge go on in order, and whoever waits for an answer is told that none will come.
 */
import type { Clock } from "../base/clock.ts";
import type { RouteSet, Routes } from "../routes/contract.ts";
import type { ClientSession } from "../session/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { Counters } from "./counters.ts";
import type { Audience } from "./deliver.ts";
import type { HandOver } from "./hand-over.ts";
import type { Line } from "./line.ts";
import type { Origin } from "./origin.ts";

export interface EndedParts {
  readonly routes: Routes;
  readonly handOver: HandOver;
  readonly line: Line;
  readonly counters: Counters;
  readonly newOrigin: () => Origin;
  readonly clock: Clock;
}

/** What was accepted may not be lost because the store or the routes are away for a moment. */
const RETRIES_MAX = 10;
const RETRY_MS = 1_000;

/** Of one session, all its messages together. */
interface Patience {
  retries: number;
}

const NO_ROUTES: RouteSet = { revision: 0, routes: [] };

/**
 * Passes on what the session had. Messages for the same address wait meanwhile (HandOver.ending),
 * so nothing overtakes. The door withdraws the route afterwards. Never rejects.
 * @param left what HandOver.takeLeft gave
 */
export async function passOnAll(
  session: ClientSession,
  left: readonly Envelope[],
  parts: EndedParts,
): Promise<void> {
  const { routes } = parts;
  if (left.length === 0) return;
  // Routes that cannot be read are as good as none: what cannot be routed is stored.
  const set = await routes.read(session.route.user).catch(() => NO_ROUTES);
  const patience: Patience = { retries: RETRIES_MAX };
  for (const envelope of left) await passOn(session, envelope, set, patience, parts);
}

async function passOn(
  session: ClientSession,
  envelope: Envelope,
  set: RouteSet,
  patience: Patience,
  parts: EndedParts,
): Promise<void> {
  const { handOver, line, counters, clock } = parts;
  const { kind, type } = envelope;
  if (kind === "iq") return line.refuse(envelope, "service-unavailable");
  // Headlines and room messages are of the moment; errors and presence are not worth another way.
  if (kind !== "message" || (type !== "normal" && type !== "chat")) return;
  if (handOver.isStored(envelope)) return;
  counters.rerouted += 1;
  const origin = handOver.originOf(envelope) ?? parts.newOrigin();
  const audience: Audience = { kind: "elsewhere", exceptSession: session.id };
  while (!(await line.passOn(envelope, origin, audience, set, patience.retries === 0))) {
    patience.retries -= 1;
    await new Promise<void>((resolve) => void clock.after(RETRY_MS, resolve));
  }
}
