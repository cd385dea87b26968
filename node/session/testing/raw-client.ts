/** A client that says exactly what a test tells it to, over a raw socket. */
import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { connect as connectTls } from "node:tls";
import type { Tweak } from "./scram-client.ts";
import { scramClient } from "./scram-client.ts";

export const HEADER =
  "<?xml version='1.0'?><stream:stream xmlns='jabber:client' " +
  "xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='localhost'>";
export const SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
export const SASL2 = "urn:xmpp:sasl:2";
export const base64 = (text: string): string => Buffer.from(text).toString("base64");

const WAIT_MS = 30_000;

type Waiting = { readonly pattern: RegExp; readonly resolve: (text: string) => void };

export class RawClient {
  socket: Socket | TLSSocket;
  /** Everything received that no `read` has taken yet. */
  received = "";
  isClosed = false;
  #waiting: Waiting | undefined;
  #onClosed: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    this.#listen(socket);
  }

  static async connect(port: number, localAddress = "127.0.0.1"): Promise<RawClient> {
    const socket = connect({ port, host: "127.0.0.1", localAddress, noDelay: true });
    const client = new RawClient(socket);
    await once(socket, "connect");
    return client;
  }

  static async connectTls(port: number, options: ConnectionOptions = {}): Promise<RawClient> {
    const socket = connectTls({
      port,
      host: "127.0.0.1",
      servername: "localhost",
      rejectUnauthorized: false,
      ...options,
    });
    const client = new RawClient(socket);
    await once(socket, "secureConnect");
    return client;
  }

  send(text: string | Buffer): void {
    this.socket.write(text);
  }

  /** What comes up to and with the first match; rejects when it does not come. */
  async read(pattern: RegExp | string): Promise<string> {
    const source = typeof pattern === "string" ? RegExp(escaped(pattern)) : pattern;
    const already = this.#take(source);
    if (already !== undefined) return already;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const fail = (why: string) =>
      reject(new Error(`Cannot read ${source}: ${why}, got ${JSON.stringify(this.received)}`));
    const timer = setTimeout(() => fail("time is up"), WAIT_MS);
    this.#waiting = { pattern: source, resolve };
    this.#onClosed.push(() => fail("closed"));
    if (this.isClosed) fail("closed");
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting = undefined;
    }
  }

  /** Everything up to the end of the connection. */
  async readToEnd(): Promise<string> {
    await this.closed();
    const rest = this.received;
    this.received = "";
    return rest;
  }

  async closed(): Promise<void> {
    if (this.isClosed) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(new Error("Cannot wait: not closed")), WAIT_MS);
    this.#onClosed.push(resolve);
    await promise;
    clearTimeout(timer);
  }

  /** Opens a stream and answers the features. */
  async open(header = HEADER): Promise<string> {
    this.send(header);
    return this.read(/<stream:features>.*<\/stream:features>/s);
  }

  async startTls(): Promise<void> {
    this.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    await this.read(/<proceed[^>]*>/);
    await this.secure();
  }

  /** Begins TLS on the connection as it is. */
  async secure(options: ConnectionOptions = {}): Promise<void> {
    const raw = this.socket;
    raw.removeAllListeners();
    const socket = connectTls({
      socket: raw,
      servername: "localhost",
      rejectUnauthorized: false,
      ...options,
    });
    this.socket = socket;
    this.#listen(socket);
    await once(socket, "secureConnect");
  }

  plain(user: string, password: string, authzid = ""): void {
    const text = base64(`${authzid}\0${user}\0${password}`);
    this.send(`<auth xmlns='${SASL}' mechanism='PLAIN'>${text}</auth>`);
  }

  /** Runs SCRAM; the answer is `<success>` with a right signature, or `<failure>`. */
  async scram(mechanism: string, user: string, password: string, tweak: Tweak = {}) {
    const { first, answer } = scramClient(mechanism, user, password, tweak);
    this.send(`<auth xmlns='${SASL}' mechanism='${mechanism}'>${first}</auth>`);
    const challenge = await this.read(/<(challenge|failure).*<\/\1>/s);
    if (challenge.includes("<failure")) return challenge;
    const { final, verifier } = answer(/>([^<]*)</.exec(challenge)?.[1] ?? "");
    this.send(`<response xmlns='${SASL}'>${final}</response>`);
    const end = await this.read(/<(success|failure).*<\/\1>/s);
    if (end.includes("<success") && !end.includes(verifier)) throw new Error("Not our server");
    return end;
  }

  /** XEP-0388. @param extensions what else the request has, as XML */
  authenticate(mechanism: string, initial: string | undefined, extensions = ""): void {
    const response = initial === undefined ? "" : `<initial-response>${initial}</initial-response>`;
    this.send(
      `<authenticate xmlns='${SASL2}' mechanism='${mechanism}'>${response}${extensions}</authenticate>`,
    );
  }

  /** Logs in with PLAIN by XEP-0388; the answer, and the features if it is a success. */
  async plain2(user: string, password: string, extensions = ""): Promise<string> {
    this.authenticate("PLAIN", base64(`\0${user}\0${password}`), extensions);
    return this.read(/<success.*<\/stream:features>|<failure.*<\/failure>/s);
  }

  /** As `scram`, by XEP-0388. */
  async scram2(
    mechanism: string,
    user: string,
    password: string,
    { extensions = "", ...tweak }: Tweak & { readonly extensions?: string } = {},
  ): Promise<string> {
    const { first, answer } = scramClient(mechanism, user, password, tweak);
    this.authenticate(mechanism, first, extensions);
    const challenge = await this.read(/<(challenge|failure).*<\/\1>/s);
    if (challenge.includes("<failure")) return challenge;
    const { final, verifier } = answer(/>([^<]*)</.exec(challenge)?.[1] ?? "");
    this.send(`<response xmlns='${SASL2}'>${final}</response>`);
    const end = await this.read(/<success.*<\/stream:features>|<failure.*<\/failure>/s);
    if (end.includes("<success") && !end.includes(verifier)) throw new Error("Not our server");
    return end;
  }

  async bind(resource?: string): Promise<string> {
    const wish = resource === undefined ? "" : `<resource>${resource}</resource>`;
    const ns = "urn:ietf:params:xml:ns:xmpp-bind";
    this.send(`<iq type='set' id='b'><bind xmlns='${ns}'>${wish}</bind></iq>`);
    return this.read(/<iq[^>]*id='b'.*<\/iq>/s);
  }

  async enableAcks(): Promise<void> {
    this.send("<enable xmlns='urn:xmpp:sm:3'/>");
    await this.read("<enabled xmlns='urn:xmpp:sm:3'/>");
  }

  destroy(): void {
    this.socket.destroy();
  }

  #listen(socket: Socket): void {
    socket.setEncoding("utf8"); // A character may come in two pieces.
    socket.on("data", (text: string) => {
      this.received += text;
      const waiting = this.#waiting;
      if (waiting === undefined) return;
      const taken = this.#take(waiting.pattern);
      if (taken !== undefined) waiting.resolve(taken);
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isClosed = true;
      for (const callback of this.#onClosed.splice(0)) callback();
    });
  }

  #take(pattern: RegExp): string | undefined {
    const match = pattern.exec(this.received);
    if (match === null) return undefined;
    const end = match.index + match[0].length;
    const taken = this.received.slice(0, end);
    this.received = this.received.slice(end);
    return taken;
  }
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
