/** The people of one running dialogue: fresh accounts, their clients, and what names stand for. */
import { randomBytes } from "node:crypto";
import type { Element } from "ltx";
import { DialogueClient } from "./dialogue-client.ts";
import type { Bindings } from "./dialogue-expect.ts";
import { describeArrival } from "./dialogue-inbox.ts";
import type { Dialogue } from "./dialogue-parser.ts";
import { clientName } from "./dialogue-parser.ts";
import type { Login, Mechanism } from "./dialogue-sasl.ts";
import type { Via } from "./dialogue-wire.ts";

const FENCE_NS = "urn:zonda:dialogue:fence";
const PING_NS = "urn:xmpp:ping";
const SM_NS = "urn:xmpp:sm:3";
const REGISTER_NS = "jabber:iq:register";
const DEADLINE_MS = 20_000;
const DEFAULT_MECHANISM: Mechanism = "SCRAM-SHA-256";

export interface DialogueServer {
  readonly domain: string;
  /** For XMPP without TLS or with STARTTLS. The clients of a dialogue take them in turn. */
  readonly ports: readonly number[];
  /** What carries the streams; TCP if left out. Over another one the ports are those for web. */
  readonly via?: Via;
  /** For direct TLS; dialogues that need it cannot run where there is none. */
  readonly directTlsPort?: number;
  /** What clients log in with where a dialogue names none; SCRAM-SHA-256 if left out. */
  readonly mechanism?: Mechanism;
  /** Stanzas that another server may add to what is expected; it may take parts out of others. */
  readonly overlooks?: (stanza: Element) => boolean;
  /** For each expectation; 20 seconds if left out. It is only waited for when a dialogue fails. */
  readonly deadlineMs?: number;
}

interface Token {
  resolve(): void;
  reject(error: Error): void;
}

export class Scene {
  /** The tokens that users were given last (XEP-0484). */
  readonly tokens = new Map<string, string>();
  readonly server: DialogueServer;
  readonly deadlineMs: number;
  bindings: Bindings;
  readonly clients = new Map<string, DialogueClient>();
  readonly #dialogue: Dialogue;
  readonly #passwords = new Map<string, string>();
  readonly #tokens = new Map<string, Token>();
  #counted = 0;

  constructor(dialogue: Dialogue, server: DialogueServer) {
    this.server = server;
    this.deadlineMs = server.deadlineMs ?? DEADLINE_MS;
    this.#dialogue = dialogue;
    const unique = randomBytes(5).toString("hex");
    const values = new Map([["domain", server.domain]]);
    for (const name of [...dialogue.users, ...dialogue.strangers]) {
      const login = { username: `${name}-${unique}`, password: `secret of ${name}` };
      this.#passwords.set(name, login.password);
      values.set(name, `${login.username}@${server.domain}`);
      values.set(`${name}.name`, login.username);
      values.set(`${name}.password`, login.password);
      const plain = `\0${login.username}\0${login.password}`;
      values.set(`${name}.plain`, Buffer.from(plain).toString("base64"));
    }
    for (const name of dialogue.steps.flatMap(({ who }) => who)) {
      const { user, resource } = clientName(name);
      if (resource !== undefined)
        values.set(`${user}/${resource}`, `${values.get(user)}/${resource}`);
    }
    this.bindings = values;
  }

  get mechanism(): Mechanism {
    return this.server.mechanism ?? DEFAULT_MECHANISM;
  }

  /** Makes the accounts, in-band. */
  async register(): Promise<void> {
    await Promise.all(this.#dialogue.users.map((user, index) => this.#registerOne(user, index)));
  }

  /** The client of that name; made when first asked for. */
  client(name: string): DialogueClient {
    const known = this.clients.get(name);
    if (known !== undefined) return known;
    const { domain } = this.server;
    const client: DialogueClient = new DialogueClient({
      name,
      domain,
      deadlineMs: this.deadlineMs,
      via: this.server.via,
      hide: (stanza) => this.#hide(client, stanza),
    });
    this.clients.set(name, client);
    return client;
  }

  /** The port of a client: the first one to appear takes the first node, and so on. */
  portOf(client: DialogueClient): number {
    const names = [...new Set(this.#dialogue.steps.flatMap(({ who }) => who))];
    const { ports } = this.server;
    return ports[Math.max(names.indexOf(client.name), 0) % ports.length] as number;
  }

  loginOf(client: DialogueClient): Login {
    const { user } = clientName(client.name);
    const username = this.bindings.get(`${user}.name`) ?? user;
    return { username, password: this.#passwords.get(user) ?? "" };
  }

  setPassword(user: string, password: string): void {
    this.#passwords.set(user, password);
  }

  async connect(client: DialogueClient): Promise<void> {
    await client.dial(this.portOf(client), false);
    await client.openStream();
  }

  async logIn(client: DialogueClient): Promise<void> {
    await this.connect(client);
    const failure = await client.authenticate(this.mechanism, this.loginOf(client));
    if (failure !== undefined) throw new Error(`Cannot log in: ${failure}`);
    await this.bind(client);
    client.forgetLogin();
  }

  async bind(client: DialogueClient): Promise<void> {
    await client.bind(clientName(client.name).resource ?? "");
  }

  /** Sends initial presence and waits until the server told it back (RFC 6121, section 4.2.2). */
  async announce(client: DialogueClient, priority?: number): Promise<void> {
    const told = this.#token(`presence ${client.jid}`);
    const content = priority === undefined ? "" : `<priority>${priority}</priority>`;
    client.send(`<presence>${content}</presence>`);
    await told;
  }

  /**
   * Resolves once everything that was under way to the client has arrived: a ping went to its
   * server and back, and each other client's message, sent now, has come. A sender's stanzas
   * keep their order (RFC 6120, section 10.1).
   */
  async settle(client: DialogueClient): Promise<void> {
    const others = [...this.clients.values()].filter(
      (other) => other !== client && other.jid !== undefined,
    );
    const fences = others.map((other) => {
      const id = `fence-${++this.#counted}`;
      const fence = `<fence xmlns="${FENCE_NS}"/>`;
      const arrived = this.#token(id);
      other.send(`<message type="headline" to="${client.jid}" id="${id}">${fence}</message>`);
      return arrived;
    });
    await Promise.all(fences);
    await this.ping(client);
  }

  /** A ping to the server and back. */
  async ping(client: DialogueClient): Promise<void> {
    if (client.jid === undefined) throw new Error(`Cannot ping: ${client.name} is not logged in`);
    const id = `fence-${++this.#counted}`;
    const arrived = this.#token(id);
    const ping = `<ping xmlns="${PING_NS}"/>`;
    client.send(`<iq type="get" id="${id}" to="${this.server.domain}">${ping}</iq>`);
    await arrived;
  }

  /** Ends the stream in good order (RFC 6120, section 4.4). What was not read is forgotten. */
  async close(client: DialogueClient): Promise<void> {
    client.send("</stream:stream>");
    for (;;) {
      const arrival = await client.next();
      if (arrival?.kind === "stream-end") break;
      if (arrival?.kind === "stanza" && arrival.element.name !== "stream:error") continue;
      throw new Error(`Cannot close: got ${describeArrival(arrival)}`);
    }
    client.cut();
  }

  cutAll(): void {
    for (const client of this.clients.values()) client.cut();
  }

  #hide(client: DialogueClient, stanza: Element): boolean {
    const { id, from = "", type } = stanza.attrs as Record<string, string | undefined>;
    if (id?.startsWith("fence-")) {
      const token = this.#tokens.get(id);
      const isBounced = stanza.getName() === "message" && type === "error";
      if (isBounced) token?.reject(new Error(`Cannot reach a client: ${stanza.toString()}`));
      else token?.resolve();
      return true;
    }
    if (stanza.getName() === "r" && stanza.getNS() === SM_NS) {
      return !this.#dialogue.showsAckRequests;
    }
    if (this.server.overlooks?.(stanza) === true) return true;
    if (stanza.getName() !== "presence" || client.jid === undefined) return false;
    if (type === undefined && from === client.jid) this.#tokens.get(`presence ${from}`)?.resolve();
    if (this.#dialogue.showsOwnPresence) return false;
    const isOwn = from.split("/")[0] === client.jid.split("/")[0];
    return isOwn && (type === undefined || type === "unavailable");
  }

  #token(id: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error(`Cannot go on: "${id}" did not come back`));
      const timer = setTimeout(late, this.deadlineMs);
      const settle = () => {
        clearTimeout(timer);
        this.#tokens.delete(id);
      };
      this.#tokens.set(id, {
        resolve: () => {
          settle();
          resolve();
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
    });
  }

  async #registerOne(user: string, index: number): Promise<void> {
    const { domain, ports } = this.server;
    const client = new DialogueClient({
      name: `registration of ${user}`,
      domain,
      deadlineMs: this.deadlineMs,
      via: this.server.via,
      hide: () => false,
    });
    await client.dial(ports[index % ports.length] as number, false);
    try {
      await client.openStream();
      const { username, password } = {
        username: this.bindings.get(`${user}.name`),
        password: this.#passwords.get(user),
      };
      const fields = `<username>${username}</username><password>${password}</password>`;
      const query = `<query xmlns="${REGISTER_NS}">${fields}</query>`;
      client.send(`<iq type="set" id="register" to="${domain}">${query}</iq>`);
      const answer = await client.receive("stanza");
      if (answer.attrs.type !== "result") {
        throw new Error(`Cannot register ${username}: ${answer.toString()}`);
      }
    } finally {
      client.cut();
    }
  }
}
