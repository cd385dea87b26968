/** What is mounted on the listener for web clients, as the configuration has it. */
import { systemClock as clock } from "./base/clock.ts";
import type { Logger } from "./base/log.ts";
import type { Configuration } from "./config/schema.ts";
import { AddressGuard } from "./guard/address-guard.ts";
import type { WebPath, WebServer } from "./http/web.ts";
import { openWeb } from "./http/web.ts";
import type { ClientDoor } from "./session/door.ts";
import { Origins } from "./stream/origins.ts";
import type { TlsContexts } from "./stream/tls.ts";
import { openWebSocketDoor } from "./stream/websocket.ts";

export const WEBSOCKET_PATH = "/xmpp-websocket";

export interface WebParts {
  readonly configuration: Configuration;
  readonly door: ClientDoor;
  readonly tls: TlsContexts;
  readonly log: Logger;
}

/** Undefined where no port is configured. @throws ConfigError when it cannot be listened on */
export async function openWebDoors(parts: WebParts): Promise<WebServer | undefined> {
  const { configuration, tls, log } = parts;
  const { port, ...web } = configuration.web;
  if (port === undefined) return undefined;
  const guard = new AddressGuard(configuration.c2s, clock);
  return openWeb({
    ...web,
    port,
    tls: web.tls ? tls : undefined,
    paths: pathsOf(parts),
    admit: (address) => guard.admit(address),
    release: (address) => guard.release(address),
    onFault: (error) => log.error({ room: "web", err: error }, "request-fault"),
  });
}

function pathsOf({ configuration, door }: WebParts): Readonly<Record<string, WebPath>> {
  const { web } = configuration;
  const origins = new Origins(web.origins);
  const shared = { gate: door.gate, limits: door.limits, origins };
  return {
    ...(web.websocket && { [WEBSOCKET_PATH]: openWebSocketDoor(shared) }),
  };
}
