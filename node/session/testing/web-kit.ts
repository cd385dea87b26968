/** A door that is also reached over HTTP, and a client that says exactly what it is told to. */
import { once } from "node:events";
import { WebSocket } from "ws";
import { systemClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import type { WebOptions, WebServer } from "../../http/web.ts";
import { openWeb } from "../../http/web.ts";
import type { BoshStats } from "../../stream/bosh/door.ts";
import { openBoshDoor } from "../../stream/bosh/door.ts";
import { Origins } from "../../stream/origins.ts";
import { openWebSocketDoor } from "../../stream/websocket.ts";
import type { ClientSession } from "../contract.ts";
import { BoshClient } from "./bosh-client.ts";
import type { Kit } from "./door-kit.ts";
import { openKit } from "./door-kit.ts";
import { base64, SASL } from "./raw-client.ts";

const WAIT_MS = 30_000;
export const OPEN =
  "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";

export interface WebKit extends AsyncDisposable {
  readonly kit: Kit;
  readonly web: WebServer;
  connect(options?: object): Promise<WebClient>;
  bosh(): BoshClient;
  readonly boshStats: BoshStats;
  /** A client that is logged in and bound as romeo@localhost/`resource`. */
  bound(resource?: string): Promise<{ client: WebClient; session: ClientSession }>;
}

interface WebKitOptions {
  readonly door?: Parameters<typeof openKit>[0];
  readonly origins?: readonly string[];
  readonly web?: Partial<WebOptions>;
  readonly bosh?: { readonly waitSecondsMax?: number; readonly inactivitySeconds?: number };
}

export async function openWebKit(options: WebKitOptions = {}): Promise<WebKit> {
  const kit = await openKit(options.door);
  const origins = new Origins(options.origins ?? ["*"]);
  const { gate, limits } = kit.door;
  const shared = { gate, limits, origins, turns: options.door?.turns };
  const bosh = openBoshDoor({
    ...shared,
    clock: options.door?.clock ?? systemClock,
    random: systemRandom,
    incarnation: "this-node-incarnation",
    waitSecondsMax: 60,
    inactivitySeconds: 60,
    ...options.bosh,
  });
  const web = await openWeb({
    host: "127.0.0.1",
    port: 0,
    tls: undefined,
    trustedProxies: [],
    connectionsMax: 1_000,
    paths: {
      "/xmpp-websocket": openWebSocketDoor(shared),
      "/http-bind": bosh,
    },
    admit: () => true,
    release() {},
    onFault: () => void kit.complaints.push("request-fault"),
    ...options.web,
  });
  const connect = (clientOptions?: object) => WebClient.connect(web.port, clientOptions);
  return {
    kit,
    web,
    connect,
    get boshStats() {
      return bosh.stats;
    },
    bosh: () => new BoshClient(web.port),
    async bound(resource = "orchard") {
      const client = await connect();
      await client.logIn();
      await client.bind(resource);
      const session = kit.router.bound.at(-1)?.session;
      if (session === undefined) throw new Error("Cannot test: no session was bound");
      return { client, session };
    },
    async [Symbol.asyncDispose]() {
      await web[Symbol.asyncDispose]();
      await kit[Symbol.asyncDispose]();
    },
  };
}

/** One WebSocket with the messages it received, in order. */
export class WebClient {
  readonly socket: WebSocket;
  readonly received: string[] = [];
  readonly #closed = Promise.withResolvers<number>();
  #wake: (() => void) | undefined;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data) => {
      this.received.push(String(data));
      this.#wake?.();
    });
    socket.on("error", () => undefined);
    socket.on("close", (code) => {
      this.#closed.resolve(code);
      this.#wake?.();
    });
  }

  static async connect(port: number, options: object = {}): Promise<WebClient> {
    const client = new WebClient(
      new WebSocket(`ws://127.0.0.1:${port}/xmpp-websocket`, ["xmpp"], options),
    );
    await once(client.socket, "open");
    return client;
  }

  send(text: string | Buffer): void {
    this.socket.send(text);
  }

  /** The next message. */
  async next(): Promise<string> {
    const untilMs = performance.now() + WAIT_MS;
    while (this.received.length === 0) {
      const isClosed = this.socket.readyState === WebSocket.CLOSED;
      if (isClosed || performance.now() > untilMs) throw new Error("Cannot read: nothing comes");
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, WAIT_MS / 10);
      });
    }
    return this.received.shift() as string;
  }

  /** The code of WebSocket's own close. */
  closed(): Promise<number> {
    return this.#closed.promise;
  }

  /** Opens a stream; the features. */
  async open(): Promise<string> {
    this.send(OPEN);
    await this.next();
    return this.next();
  }

  async logIn(): Promise<void> {
    await this.open();
    const text = base64("\0romeo\0secret");
    this.send(`<auth xmlns='${SASL}' mechanism='PLAIN'>${text}</auth>`);
    await this.next();
    await this.open();
  }

  async bind(resource: string): Promise<string> {
    const wish = `<resource>${resource}</resource>`;
    this.send(
      `<iq xmlns='jabber:client' type='set' id='b'>` +
        `<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>${wish}</bind></iq>`,
    );
    return this.next();
  }
}
