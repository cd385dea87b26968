/** One component's stream: header, handshake, then stanzas in both directions (XEP-0114). */
import type { Timer } from "../base/clock.ts";
import { randomId } from "../base/random.ts";
import type { Route } from "../routes/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import { isStanzaKind } from "../stanza/envelope.ts";
import { Jid } from "../stanza/jid.ts";
import { END_TAG, writeFailure } from "../stream/header.ts";
import { NS_CLIENT } from "../stream/namespaces.ts";
import type { Connection, ConnectionOwner } from "../stream/tcp.ts";
import type { Framer, FrameSink, ParsedStanza, Scope, StreamOpen } from "../xml/contract.ts";
import { XmlError } from "../xml/errors.ts";
import { createFramer } from "../xml/framer.ts";
import { text } from "../xml/names.ts";
import { parseStreamOpen } from "../xml/parser.ts";
import type { ComponentConnection } from "./contract.ts";
import type { DoorParts } from "./door.ts";
import { checkHeader, HANDSHAKE_DONE, isProof, writeHeader } from "./handshake.ts";
import { readInside, scopeInside, writeOutside } from "./namespace.ts";

/** Before the handshake nobody needs more. */
const STRANGER_BYTES_MAX = 4_096;
/** Stanzas of one connection on their way at once; no more are read meanwhile. */
const ROUTING_MAX = 1_000;
/** Stanzas that may come while the route is being published. */
const HELD_MAX = 1_000;
/** How long the peer gets to end its side. */
const LINGER_MS = 5_000;

type State = "header" | "handshake" | "binding" | "open" | "over";

interface Unsent {
  readonly envelope: Envelope;
  /** The write that would have carried it: see Connection.writesBegun. */
  readonly write: number;
}

export class ComponentStream implements ComponentConnection, ConnectionOwner, FrameSink {
  readonly id: string;
  readonly #parts: DoorParts;
  readonly #connection: Connection;
  readonly #framer: Framer = createFramer(STRANGER_BYTES_MAX);
  readonly #deadline: Timer;
  #state: State = "header";
  #scope: Scope | undefined;
  #route: Route | undefined;
  #jid: Jid | undefined;
  /** "pending": it is being published, and cannot be withdrawn before that is done. */
  #publication: "none" | "pending" | "done" = "none";
  #held: Envelope[] = [];
  #unsent: Unsent[] = [];
  #received = 0;
  #routing = 0;
  #linger: Timer | undefined;

  constructor(connection: Connection, parts: DoorParts) {
    this.#connection = connection;
    this.#parts = parts;
    this.id = randomId(parts.random);
    connection.owner = this;
    const { clock, limits } = parts;
    this.#deadline = clock.after(limits.handshakeMs, () => this.close("connection-timeout"));
  }

  get jid(): Jid {
    if (this.#jid === undefined) throw new Error("Cannot tell address: no domain is known yet");
    return this.#jid;
  }

  get route(): Route {
    if (this.#route === undefined) throw new Error("Cannot tell route: no domain is known yet");
    return this.#route;
  }

  deliver(envelope: Envelope): boolean {
    if (this.#state === "binding") {
      if (this.#held.length >= HELD_MAX) return false;
      this.#held.push(envelope);
      return true;
    }
    return this.#state === "open" && this.#write(envelope);
  }

  close(condition: string): void {
    if (this.#state === "over") return;
    this.#parts.stats.streamErrors += 1;
    if (this.#state === "header") this.#connection.write(writeHeader(this.id, undefined));
    this.#connection.write(writeFailure({ condition }));
    this.#leave();
  }

  onBytes(chunk: Buffer): void {
    try {
      this.#framer.feed(chunk, this);
    } catch (error) {
      if (!(error instanceof XmlError)) this.#parts.log.error({ err: error }, "cannot read stream");
      this.close(error instanceof XmlError ? error.condition : "internal-server-error");
    }
  }

  onStreamOpen(startTag: Buffer): void {
    const open = parseStreamOpen(startTag);
    const verdict = checkHeader(open, this.#parts.secrets);
    if (verdict.kind === "refused") this.close(verdict.condition);
    else this.#expectProof(open, verdict.domain);
  }

  #expectProof(open: StreamOpen, domain: string): void {
    this.#scope = scopeInside(open.scope);
    this.#jid = Jid.from("", domain, this.id);
    this.#route = {
      user: domain,
      resource: this.#jid.resource,
      node: this.#parts.selfIncarnation,
      session: this.id,
      available: true,
      priority: 0,
    };
    this.#state = "handshake";
    this.#connection.write(writeHeader(this.id, domain));
  }

  onStanza(bytes: Buffer): void {
    if (this.#scope === undefined || this.#state === "over") return;
    const stanza = readInside(bytes, this.#scope);
    if (this.#state === "handshake") this.#handshake(stanza);
    else if (this.#state === "open") this.#take(stanza);
    else this.close("not-authorized");
  }

  onStreamClose(): void {
    if (this.#state === "over") return;
    this.#connection.write(END_TAG);
    this.#leave();
  }

  onDrained(): void {
    const { writesBegun } = this.#connection;
    this.#unsent = this.#unsent.filter(({ write }) => write > writesBegun);
  }

  onClosed(): void {
    this.#linger?.cancel();
    this.#over();
    this.#parts.onClosed(this);
  }

  #handshake(stanza: ParsedStanza): void {
    const { secrets, stats, limits } = this.#parts;
    const isHandshake = stanza.name === "handshake" && stanza.ns === NS_CLIENT;
    const secret = secrets.get(this.route.user);
    const said = isHandshake ? text(stanza.element()).trim() : "";
    if (secret === undefined || !isProof(said, this.id, secret)) {
      stats.handshakesFailed += 1;
      this.close("not-authorized");
      return;
    }
    this.#state = "binding";
    this.#framer.setStanzaLimit(limits.stanzaBytesMax);
    void this.#bind();
  }

  /** Committed before answered: who is told that it is connected can be reached from every node. */
  async #bind(): Promise<void> {
    const { table, routes, log } = this.#parts;
    table.add(this);
    this.#publication = "pending";
    try {
      await routes.bind(this.route);
    } catch (error) {
      log.warn({ err: error, domain: this.route.user }, "cannot publish component");
      this.close("internal-server-error");
    }
    this.#publication = "done";
    if (this.#state !== "binding") {
      this.#giveBack();
      return;
    }
    this.#deadline.cancel();
    this.#state = "open";
    this.#connection.write(HANDSHAKE_DONE);
    const held = this.#held;
    this.#held = [];
    for (const envelope of held) this.#write(envelope);
    log.info({ domain: this.route.user }, "component-connected");
  }

  #write(envelope: Envelope): boolean {
    const isBehind = this.#connection.isBacklogged;
    if (!this.#connection.write(writeOutside(envelope.bytes))) return false;
    this.#parts.stats.stanzasOut += 1;
    // Behind a blocked write: until that is through it has certainly not been sent.
    if (isBehind) this.#unsent.push({ envelope, write: this.#connection.writesNeeded });
    return true;
  }

  #take(stanza: ParsedStanza): void {
    const isStanza = isStanzaKind(stanza.name) && stanza.ns === NS_CLIENT;
    const from = Jid.parseOrNone(stanza.attributes.from);
    if (!isStanza) this.close("unsupported-stanza-type");
    else if (from?.domain !== this.route.user) this.close("invalid-from");
    else this.#pass(from, stanza);
  }

  #pass(from: Jid, stanza: ParsedStanza): void {
    this.#parts.stats.stanzasIn += 1;
    this.#received += 1;
    const done = this.#parts.events.onComponentStanza(this, from, stanza, this.#received);
    if (done === undefined) return;
    this.#routing += 1;
    if (this.#routing === ROUTING_MAX) this.#connection.pause();
    void done.finally(() => {
      this.#routing -= 1;
      if (this.#routing === ROUTING_MAX / 2) this.#connection.resume();
    });
  }

  #leave(): void {
    this.#connection.resume(); // What still comes must be read, or the peer gets a reset instead.
    this.#connection.end();
    this.#linger = this.#parts.clock.after(LINGER_MS, () => this.#connection.destroy());
    this.#over();
  }

  #over(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#framer.stop();
    this.#deadline.cancel();
    if (this.#publication === "done") this.#giveBack();
  }

  #giveBack(): void {
    const { writesBegun } = this.#connection;
    const unsent = this.#unsent.filter(({ write }) => write > writesBegun);
    this.#parts.onOver(this, [...unsent.map(({ envelope }) => envelope), ...this.#held]);
    this.#unsent = [];
    this.#held = [];
  }
}
