/** A defect of the driver (4.10), mended from outside. */
import type { Client } from "cassandra-driver";
import type { Logger } from "../../base/log.ts";

/** Of the driver's own, what is used here (its lib/control-connection.js). */
export interface ControlConnection {
  _refresh(hosts?: unknown): Promise<void>;
}

export const controlOf = (client: Client): ControlConnection =>
  Reflect.get(client, "controlConnection") as ControlConnection;

/**
 * The connection by which the driver learns of servers is looked for anew when it breaks. What is found by contact
 * points may break before the driver has done with it, and is then looked for twice at once: the second attempt takes
 * away what the first has found, which ends in a TypeError that nobody catches. The second goes on, so that is none.
 */
export function mendControl(client: Client, log: Logger | undefined): void {
  const control = controlOf(client);
  const refresh = control._refresh.bind(control);
  control._refresh = async (hosts) => {
    try {
      await refresh(hosts);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      log?.warn({ err: error }, "cassandra's control connection broke while it was set up");
    }
  };
}
