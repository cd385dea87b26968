/** What is mounted on the listener for web clients, as the configuration has it. */
import { domainToASCII } from "node:url";
import { systemClock as clock } from "./base/clock.ts";
import type { Logger } from "./base/log.ts";
import { systemRandom as random } from "./base/random.ts";
import type { Configuration } from "./config/schema.ts";
import { AddressGuard } from "./guard/address-guard.ts";
import type { AlternativeConnection } from "./http/host-meta.ts";
import { hostMetaPaths } from "./http/host-meta.ts";
import type { Uploads } from "./http/upload/contract.ts";
import { UPLOAD_PATH } from "./http/upload/contract.ts";
import type { WebPath, WebServer } from "./http/web.ts";
import { openWeb } from "./http/web.ts";
import type { ClientDoor } from "./session/door.ts";
import type { BoshDoor, BoshStats } from "./stream/bosh/door.ts";
import { openBoshDoor } from "./stream/bosh/door.ts";
import { Origins } from "./stream/origins.ts";
import type { TlsContexts } from "./stream/tls.ts";
import type { Turns } from "./stream/turns.ts";
import { openWebSocketDoor } from "./stream/websocket.ts";

const WEBSOCKET_PATH = "/xmpp-websocket";
const BOSH_PATH = "/http-bind";

export interface WebDoors extends WebServer {
  /** Undefined where it is switched off. */
  readonly bosh: BoshStats | undefined;
}

/** XEP-0156: the ways to the domain that a client asked at, or to the first one. */
function linksFor(
  { domains, web }: Configuration,
  port: number,
  host: string,
): readonly AlternativeConnection[] {
  const domain = domainToASCII(
    domains.find((one) => domainToASCII(one) === host) ?? domains[0] ?? "",
  );
  const base = (web.url ?? `https://${domain}:${port}`).replace(/\/$/, "");
  const links: AlternativeConnection[] = [];
  if (web.websocket) {
    const href = `${base.replace(/^http/, "ws")}${WEBSOCKET_PATH}`;
    links.push({ rel: "urn:xmpp:alt-connections:websocket", href });
  }
  if (web.bosh.enabled) {
    links.push({ rel: "urn:xmpp:alt-connections:xbosh", href: `${base}${BOSH_PATH}` });
  }
  return links;
}

export interface WebParts {
  readonly configuration: Configuration;
  readonly door: ClientDoor;
  readonly tls: TlsContexts;
  readonly incarnation: string;
  readonly turns: Turns;
  /** Undefined where the node takes no files. */
  readonly uploads: Uploads | undefined;
  readonly log: Logger;
}

/** Undefined where no port is configured. @throws ConfigError when it cannot be listened on */
export async function openWebDoors(parts: WebParts): Promise<WebDoors | undefined> {
  const { configuration, tls, log } = parts;
  const { port, ...web } = configuration.web;
  if (port === undefined) return undefined;
  const guard = new AddressGuard(configuration.c2s.connectionsPerAddressMax);
  const { paths, bosh } = mount(parts, () => server.port);
  const server: WebServer = await openWeb({
    ...web,
    port,
    tls: web.tls ? tls : undefined,
    paths,
    admit: (address) => guard.admit(address),
    release: (address) => guard.release(address),
    onFault: (error) => log.error({ room: "web", err: error }, "request-fault"),
  });
  return {
    port: server.port,
    get connections() {
      return server.connections;
    },
    get refused() {
      return server.refused;
    },
    get bosh() {
      return bosh?.stats;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

interface Mounted {
  readonly paths: Readonly<Record<string, WebPath>>;
  readonly bosh: BoshDoor | undefined;
}

/** @param port where all of it is, once it is open */
function mount(
  { configuration, door, incarnation, turns, uploads }: WebParts,
  port: () => number,
): Mounted {
  const { websocket, bosh: options, ...web } = configuration.web;
  const origins = new Origins(web.origins);
  const shared = { gate: door.gate, limits: door.limits, origins, turns };
  const bosh = options.enabled
    ? openBoshDoor({ ...shared, ...options, clock, random, incarnation })
    : undefined;
  return {
    bosh,
    paths: {
      ...(websocket && { [WEBSOCKET_PATH]: openWebSocketDoor(shared) }),
      ...(bosh !== undefined && { [BOSH_PATH]: bosh }),
      ...hostMetaPaths((host) => linksFor(configuration, port(), host)),
      ...(uploads?.path !== undefined && { [UPLOAD_PATH]: uploads.path }),
    },
  };
}
