/** The door for external components: who is let in, and what becomes of those that leave. */
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Routes } from "../routes/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import { listenForConnections } from "../stream/listener.ts";
import type { Connection } from "../stream/tcp.ts";
import type { TlsContexts } from "../stream/tls.ts";
import { ComponentStream } from "./connection.ts";
import type { ComponentEvents, ComponentStats, ComponentTable } from "./contract.ts";
import type { Secrets } from "./handshake.ts";

export interface ComponentLimits {
  readonly handshakeMs: number;
  readonly stanzaBytesMax: number;
  /** Bytes that may wait for a slow component before it is dropped. */
  readonly waitingBytesMax: number;
  readonly connectionsMax: number;
}

export interface ComponentDoorOptions {
  readonly host: string;
  readonly port: number;
  /** TLS from the first byte; undefined for plain TCP, on loopback only. */
  readonly tls: TlsContexts | undefined;
  readonly secrets: Secrets;
  readonly limits: ComponentLimits;
  readonly routes: Routes;
  readonly events: ComponentEvents;
  readonly selfIncarnation: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** What a stream needs of its door. */
export interface DoorParts
  extends Pick<
    ComponentDoorOptions,
    "secrets" | "limits" | "routes" | "events" | "selfIncarnation" | "clock" | "random" | "log"
  > {
  readonly table: Connections;
  readonly stats: ComponentStats;
  /** It takes part no more; called only for what is in the table. */
  onOver(stream: ComponentStream, unsent: readonly Envelope[]): void;
  onClosed(stream: ComponentStream): void;
}

/** Those that have shown that they know their secret. */
class Connections implements ComponentTable {
  readonly #byAddress = new Map<string, ComponentStream>();

  get size(): number {
    return this.#byAddress.size;
  }

  get(full: string): ComponentStream | undefined {
    return this.#byAddress.get(full);
  }

  add(stream: ComponentStream): void {
    this.#byAddress.set(stream.jid.full, stream);
  }

  remove(stream: ComponentStream): void {
    this.#byAddress.delete(stream.jid.full);
  }
}

export interface ComponentDoor extends AsyncDisposable {
  readonly port: number;
  readonly table: ComponentTable;
  readonly stats: Readonly<ComponentStats>;
}

/** @throws ConfigError when the address cannot be listened on */
export async function openComponentDoor(options: ComponentDoorOptions): Promise<ComponentDoor> {
  const log = options.log.child({ room: "components" });
  const { limits, routes, events } = options;
  const table = new Connections();
  const streams = new Set<ComponentStream>();
  const endings = new Set<Promise<void>>();
  const stats: ComponentStats = {
    connectionsRefused: 0,
    handshakesFailed: 0,
    stanzasIn: 0,
    stanzasOut: 0,
    streamErrors: 0,
  };
  /** What it was not sent goes on to others first; the route goes after that. */
  async function end(stream: ComponentStream, unsent: readonly Envelope[]): Promise<void> {
    table.remove(stream);
    log.info({ domain: stream.route.user, unsent: unsent.length }, "component-gone");
    await events.onComponentEnded(stream, unsent);
    await routes.unbind(stream.route).catch((error: unknown) => {
      // The engine does it as soon as it can.
      log.warn({ err: error }, "component-route-not-withdrawn-yet");
    });
  }
  const parts: DoorParts = {
    ...options,
    log,
    table,
    stats,
    onOver(stream, unsent) {
      const ending = end(stream, unsent).finally(() => endings.delete(ending));
      endings.add(ending);
    },
    onClosed: (stream) => void streams.delete(stream),
  };
  function onConnection(connection: Connection): void {
    if (streams.size >= limits.connectionsMax) {
      stats.connectionsRefused += 1;
      connection.destroy();
      return;
    }
    streams.add(new ComponentStream(connection, parts));
    if (options.tls !== undefined) connection.startTls(options.tls);
  }
  const listener = await listenForConnections({
    host: options.host,
    port: options.port,
    whom: "components",
    waitingBytesMax: limits.waitingBytesMax,
    onConnection,
    onAcceptError: (error) => log.error({ err: error }, "cannot accept connection"),
  });
  return {
    port: listener.port,
    table,
    stats,
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const stream of [...streams]) stream.close("system-shutdown");
      await Promise.all(endings);
    },
  };
}
