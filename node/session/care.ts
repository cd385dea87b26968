/** Looks after a quiet connection, once every `sweepMs`. */
import type { ServerStream } from "../stream/stream.ts";
import type { DoorLimits } from "./door-context.ts";
import type { Outgoing } from "./outgoing.ts";

export function lookAfter(
  stream: ServerStream,
  outgoing: Outgoing,
  { unansweredSweeps, keepAliveSweeps }: DoorLimits,
): void {
  const { transport } = stream;
  transport.sweep();
  if (transport.stalledSweeps >= unansweredSweeps) {
    stream.destroy();
    return;
  }
  if (outgoing.unacknowledgedCount > 0) {
    if (transport.silentSweeps >= unansweredSweeps)
      stream.close({ condition: "connection-timeout" });
    else outgoing.askAgain(stream);
  } else if (transport.silentSweeps % keepAliveSweeps === 0) {
    stream.keepAlive();
  }
}
