/**
 * One device of a user: logs in, enables XEP-0198 with resumption, speaks, acknowledges, loses its
 * connection, resumes wherever it gets to, binds anew when that is refused, and sends again what
 * nobody has told it arrived.
 */
import type { Timer } from "../../node/base/clock.ts";
import type { ParsedStanza } from "../../node/xml/contract.ts";
import { ClientStream } from "./client-stream.ts";
import type { Copy, Ledger, Said, Session } from "./ledger.ts";
import { ACKS, bind, ENABLE, header, LoginTalk, resume } from "./login.ts";
import type { SimNode } from "./node.ts";
import { DOMAIN } from "./node.ts";
import type { Setting } from "./setting.ts";
import type { Place } from "./wire.ts";
import { Wire } from "./wire.ts";

const LATENCY = { leastMs: 3, mostMs: 40 };
/** Longer than a node gives a negotiation, so that the node's own limits are seen to work. */
const PATIENCE_MS = 12_000;
/** Less than a session waits for its client. */
const STEADY_MS = 15_000;

type Stage = "offline" | "login" | "session" | "bound";

/** A stanza that counts, and the message in it. */
interface Sent {
  readonly xml: string;
  readonly said: Said | undefined;
}

/** XEP-0198's books of one session. */
interface Books {
  /** Given by `<enabled/>`; "" until then. */
  id: string;
  readonly session: string;
  /** Stanzas that came in since `<enabled/>`. */
  received: number;
  /** Of `sent`, how many are acknowledged. */
  acknowledged: number;
  /** Not acknowledged, in order. */
  readonly sent: Sent[];
  /** Copies of messages with their places, not known to be acknowledged. */
  readonly copies: { readonly place: number; readonly copy: Copy }[];
  /** Stanzas it has sent, for the order of what it says. */
  said: number;
  /** Where it is. */
  node: SimNode | undefined;
}

export interface DeviceEvents {
  onBroken(invariant: string, why: string): void;
  /** It is told that it has a session. */
  onThere(device: Device): void;
  onMessage(device: Device, said: Said, copy: Copy): void;
}

export class Device {
  readonly user: string;
  readonly name: string;
  readonly full: string;
  readonly #setting: Setting;
  readonly #ledger: Ledger;
  readonly #events: DeviceEvents;
  readonly #nodes: () => readonly SimNode[];
  readonly #awaited: (user: string) => readonly Session[];
  #connections = 0;
  #sessions = 0;
  #stage: Stage = "offline";
  #stream: ClientStream | undefined;
  #node: SimNode | undefined;
  #talk: LoginTalk | undefined;
  #patience: Timer | undefined;
  #isResuming = false;
  #books: Books | undefined;
  /** Contacts' full addresses that are available, as far as it was told. */
  readonly seen = new Set<string>();
  /** Who was said to have gone, and has not come back since. */
  readonly farewells = new Set<string>();
  /** Of those it sees, who was there with a node that left nobody who knows that they were shown. */
  readonly lingering = new Set<string>();
  /** Its sessions that went on at another node. */
  readonly moved = new Set<string>();
  /** It wants to be online. */
  isWanted = false;
  /** When it was last in a session. */
  #thereMs = 0;
  #hasLeft = false;

  constructor(
    user: string,
    name: string,
    setting: Setting,
    more: {
      ledger: Ledger;
      events: DeviceEvents;
      nodes: () => readonly SimNode[];
      awaited: (user: string) => readonly Session[];
    },
  ) {
    this.user = user;
    this.name = name;
    this.full = `${user}/${name}`;
    this.#setting = setting;
    this.#ledger = more.ledger;
    this.#events = more.events;
    this.#nodes = more.nodes;
    this.#awaited = more.awaited;
  }

  get isBound(): boolean {
    return this.#stage === "bound";
  }

  /** It has one session, or none yet, which nobody can have ended: what it got has not been passed on. */
  get isSteady(): boolean {
    const awayMs = this.isBound ? 0 : this.#setting.world.nowMs - this.#thereMs;
    return this.#sessions < 1 || (this.#sessions === 1 && !this.#hasLeft && awayMs < STEADY_MS);
  }

  get isOffline(): boolean {
    return this.#stage === "offline";
  }

  get node(): SimNode | undefined {
    return this.#node;
  }

  /** Goes online, and comes back whenever the connection is lost, until `leave`. */
  come(): void {
    this.isWanted = true;
    if (this.#stage === "offline") this.#connect();
  }

  /** Ends its stream with a word: the session is over, too. */
  leave(): void {
    this.isWanted = false;
    if (this.#stage === "offline") return;
    this.#setting.world.say(`${this.full} leaves`);
    const isBound = this.#stage === "bound";
    this.#hasLeft = true;
    this.#stream?.close();
    if (isBound) this.#forgetSession();
    this.#gone();
  }

  /** Its connection breaks. @param isSilent nobody tells the server */
  lose(isSilent: boolean, comesBack: boolean): void {
    this.isWanted = comesBack;
    if (this.#stage === "offline") return;
    if (!this.#isResumable) this.#ledger.mayLose(this.full);
    if (isSilent) this.#stream?.forget();
    else this.#stream?.drop();
    if (isSilent) this.#setting.network.remove(this.#machine);
    this.#gone();
  }

  /** Otherwise what was written to its session, which may have begun already, is lost with its connection. */
  get #isResumable(): boolean {
    if (this.#stage === "session") return this.#isResuming;
    return this.#stage === "login" || this.sessionId !== "";
  }

  /** Does not read for a while. */
  stall(forMs: number): void {
    const stream = this.#stream;
    stream?.pause();
    this.#setting.world.after(forMs, () => stream?.resume());
  }

  /** @param toName the device it is for, if it is for one */
  speak(toUser: string, toName = ""): void {
    const books = this.#books;
    if (this.#stage !== "bound" || books === undefined) return;
    books.said += 1;
    const { session, said: place } = books;
    const all = this.#awaited(toUser);
    // What is for a session that cannot be resumed yet is lost with its connection.
    const one = all.find(({ device }) => device === `${toUser}/${toName}`);
    const [to, awaited] = one === undefined ? [toUser, all] : [one.device, [one]];
    const said = this.#ledger.say(this.user, toUser, { to, session, place, awaited });
    this.#setting.world.say(`${this.full} says ${said.id} to ${to}`);
    this.#send(messageOf(said), said);
  }

  /** Its session, once everybody can know of it: it has been told of its own presence (RFC 6121, 4.2.2). */
  get announced(): Session | undefined {
    const { id = "", session = "" } = this.#books ?? {};
    return id !== "" && this.seen.has(this.full) ? { device: this.full, session } : undefined;
  }

  /** Where its session says it is; "" without one that was enabled. */
  get sessionId(): string {
    return this.#books?.id ?? "";
  }

  #connect(): void {
    const { world, network } = this.#setting;
    const node = world.pick(this.#nodes());
    if (node === undefined) {
      this.#comeBackLater();
      return;
    }
    this.#stage = "login";
    this.#node = node;
    this.#connections += 1;
    const here: Place = { machine: this.#machine, enter: (work) => work(), step() {} };
    const [wire] = Wire.pair(world, network, [here, node], LATENCY);
    const stream: ClientStream = new ClientStream(wire, {
      onConnected: () => stream.send(header(DOMAIN)),
      onStanza: (stanza) => {
        if (stream === this.#stream) this.#hear(stanza);
      },
      onUnreadable: (error, chunk) =>
        this.#events.onBroken("errors", `${this.full} reads ${chunk.toString()}: ${error.message}`),
      onOver: () => {
        if (stream === this.#stream) this.#gone();
      },
    });
    this.#stream = stream;
    this.#talk = new LoginTalk(this.user.slice(0, this.user.indexOf("@")));
    wire.open(node.isServing ? (accepted) => node.accept(accepted) : undefined);
    this.#patience = world.after(PATIENCE_MS, () => {
      if (stream !== this.#stream || this.#stage === "bound") return;
      world.say(`${this.full} has waited for ${node.machine} in vain`);
      stream.drop();
      this.#gone();
    });
  }

  get #machine(): string {
    return `${this.full}#${this.#connections}`;
  }

  #gone(): void {
    this.#patience?.cancel();
    if (this.isBound) this.#thereMs = this.#setting.world.nowMs;
    this.#stream = undefined;
    this.#stage = "offline";
    this.#comeBackLater();
  }

  #comeBackLater(): void {
    const { world } = this.#setting;
    if (!this.isWanted) return;
    world.after(world.between(50, 3_000), () => {
      if (this.isWanted && this.#stage === "offline") this.#connect();
    });
  }

  #hear(stanza: ParsedStanza): void {
    switch (this.#stage) {
      case "login":
        this.#hearLogin(stanza);
        break;
      case "session":
        this.#hearSession(stanza);
        break;
      case "bound":
        this.#hearBound(stanza);
        break;
      default:
        break;
    }
  }

  #hearLogin(stanza: ParsedStanza): void {
    if (stanza.name === "error") return; // The end of the stream follows.
    const { heard, say } = this.#talk?.hear(stanza) ?? { heard: "refused" };
    if (say !== undefined) this.#stream?.send(say);
    if (heard === "refused") this.#giveUp(stanza);
    if (heard !== "logged in") return;
    this.#stream?.restart();
    this.#stream?.send(header(DOMAIN));
    this.#stage = "session";
  }

  #giveUp(refusal: ParsedStanza): void {
    const error = refusal.element().getChild("error") ?? refusal.element();
    const [why] = error.getChildElements();
    this.#setting.world.say(`${this.full} is refused by ${this.#node?.machine}: ${why?.name}`);
    this.#stream?.drop();
    this.#gone();
  }

  #hearSession(stanza: ParsedStanza): void {
    const books = this.#books;
    if (stanza.name === "features") {
      this.#isResuming = books !== undefined && books.id !== "";
      if (this.#isResuming && books !== undefined) {
        this.#stream?.send(resume(books.id, books.received));
      } else this.#bind();
      return;
    }
    if (stanza.ns === ACKS && stanza.name === "resumed" && books !== undefined) {
      this.#resumed(books, Number(stanza.attributes.h));
    } else if (stanza.ns === ACKS && stanza.name === "failed") {
      const { h } = stanza.attributes;
      this.#setting.world.say(`${this.full} cannot resume (h=${h})`);
      if (h !== undefined && books !== undefined) this.#takeLastCount(books, Number(h));
      this.#bind();
    } else if (stanza.name === "iq" && stanza.attributes.id === "bind") {
      if (stanza.attributes.type === "result") this.#bound();
      else this.#giveUp(stanza);
    }
  }

  #bind(): void {
    this.#isResuming = false;
    this.#stream?.send(bind(this.name));
  }

  /** A new session: what nobody told it arrived goes again. */
  #bound(): void {
    const before = this.#books;
    this.#sessions += 1;
    const session = `${this.full}:${this.#sessions}`;
    this.#setting.world.say(`${this.full} is bound on ${this.#node?.machine} as ${session}`);
    this.#begin(session);
    for (const { said } of before?.sent ?? []) {
      if (said === undefined || said.isReturned) continue;
      said.sessions.push(session);
      this.#setting.world.say(`${this.full} says ${said.id} again`);
      this.#send(messageOf(said), said);
    }
  }

  #begin(session: string): void {
    this.#patience?.cancel();
    this.#stage = "bound";
    this.seen.clear();
    this.farewells.clear();
    this.lingering.clear();
    this.#events.onThere(this);
    this.#books = {
      id: "",
      session,
      received: 0,
      acknowledged: 0,
      sent: [],
      copies: [],
      said: 0,
      node: this.#node,
    };
    this.#stream?.send(ENABLE);
    this.#send("<presence/>", undefined);
  }

  #resumed(books: Books, h: number): void {
    this.#patience?.cancel();
    this.#stage = "bound";
    if (books.node !== this.#node) this.moved.add(books.session);
    books.node = this.#node;
    this.#events.onThere(this);
    this.#setting.world.say(`${this.full} resumes on ${this.#node?.machine} (h=${h})`);
    this.#takeCount(books, h);
    for (const { copy } of books.copies.splice(0)) copy.isAcknowledged = true;
    for (const { xml, said } of books.sent) {
      if (said !== undefined) said.isResent = true;
      this.#submit(xml, said);
    }
  }

  #send(xml: string, said: Said | undefined): void {
    this.#books?.sent.push({ xml, said });
    this.#submit(xml, said);
    if (this.#setting.world.isSo(0.3)) this.#stream?.send(`<r xmlns='${ACKS}'/>`);
  }

  #submit(xml: string, said: Said | undefined): void {
    if (this.#node !== undefined) said?.entries.add(this.#node.machine);
    this.#stream?.send(xml);
  }

  #hearBound(stanza: ParsedStanza): void {
    const books = this.#books;
    if (books === undefined) return;
    if (stanza.ns === ACKS) {
      this.#hearAcks(books, stanza);
      return;
    }
    if (!["message", "presence", "iq"].includes(stanza.name)) return;
    if (books.id !== "") books.received += 1;
    if (stanza.name === "presence") this.#hearPresence(stanza);
    if (stanza.name === "message") this.#hearMessage(books, stanza);
  }

  #hearAcks(books: Books, { name, attributes }: ParsedStanza): void {
    if (name === "enabled") books.id = attributes.id ?? "";
    if (name === "a") this.#takeCount(books, Number(attributes.h));
    if (name !== "r") return;
    const stream = this.#stream;
    const node = this.#node;
    const answer = () => {
      if (stream !== this.#stream || books !== this.#books) return;
      const h = books.received;
      stream?.send(`<a xmlns='${ACKS}' h='${h}'/>`, () => this.#acknowledged(books, h, node));
    };
    // Now and then a client takes its time.
    if (this.#setting.world.isSo(0.8)) answer();
    else this.#setting.world.after(this.#setting.world.between(10, 4_000), answer);
  }

  /** The node has read that the client has what counts up to `h`: if the session is still there. */
  #acknowledged(books: Books, h: number, node: SimNode | undefined): void {
    const isAt = (one: SimNode | undefined) => one?.sessions.get(this.full)?.id === books.id;
    // What was taken over is not that node's any more: nobody learns of it what it reads.
    const isElsewhere = this.#nodes().some((one) => one !== node && isAt(one));
    if (!isAt(node) || isElsewhere) return;
    while ((books.copies[0]?.place ?? Number.POSITIVE_INFINITY) <= h) {
      const first = books.copies.shift();
      if (first !== undefined) first.copy.isAcknowledged = true;
    }
  }

  /** The server's count of what it has accepted. */
  #takeCount(books: Books, h: number): void {
    const count = h - books.acknowledged;
    if (count < 0 || count > books.sent.length) {
      const known = `${books.acknowledged} to ${books.acknowledged + books.sent.length}`;
      this.#events.onBroken("counts", `${this.full} hears h=${h}, which is not ${known}`);
      return;
    }
    books.acknowledged = h;
    for (const { said } of books.sent.splice(0, count)) {
      if (said === undefined) continue;
      said.isAccepted = true;
      this.#setting.world.say(`${said.id} is accepted`);
    }
  }

  /** Of a session that is over. An error that answered one of them may be gone with it. */
  #takeLastCount(books: Books, h: number): void {
    const unsure = this.#setting.store.hasFailed ? [...books.sent] : [];
    this.#takeCount(books, h);
    for (const { said } of unsure) {
      if (said?.isAccepted === true) said.doubt ??= "it may have been refused";
    }
  }

  #hearPresence({ attributes: { from = "", type } }: ParsedStanza): void {
    this.lingering.delete(from);
    if (type === undefined) {
      this.seen.add(from);
      this.farewells.delete(from);
    } else if (type === "unavailable") {
      this.seen.delete(from);
      if (this.farewells.has(from)) {
        this.#events.onBroken("farewells", `${this.full} is told again that ${from} has gone`);
      }
      this.farewells.add(from);
    }
  }

  #hearMessage(books: Books, stanza: ParsedStanza): void {
    const said = this.#ledger.said.get(stanza.attributes.id ?? "");
    if (said === undefined) return;
    if (stanza.attributes.type === "error") {
      this.#setting.world.say(`${said.id} is returned to ${this.full}`);
      said.isReturned = true;
      return;
    }
    const copy: Copy = {
      device: this.full,
      session: books.session,
      node: this.#node?.machine ?? "",
      atMs: this.#setting.world.nowMs,
      isAcknowledged: false,
    };
    this.#setting.world.say(`${said.id} reaches ${books.session}`);
    this.#events.onMessage(this, said, copy);
    said.copies.push(copy);
    if (books.id !== "") books.copies.push({ place: books.received, copy });
  }

  /** It knows that its session is over. What it said and heard nothing about stays in doubt. */
  #forgetSession(): void {
    if (this.#books !== undefined) this.#books.id = "";
  }
}

const messageOf = ({ id, to }: Said): string =>
  `<message to='${to}' type='chat' id='${id}'><body>${id}</body></message>`;
