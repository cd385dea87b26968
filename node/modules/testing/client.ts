/** A client of a test: one device with at most one session, which acknowledges like XEP-0198. */
import type { Route } from "../../routes/contract.ts";
import type { ClientSession } from "../../session/contract.ts";
import { Sessions } from "../../session/table.ts";
import type { Envelope } from "../../stanza/contract.ts";
import type { Jid } from "../../stanza/jid.ts";
import type { Element } from "../../xml/element.ts";
import { parseElement } from "../../xml/parser.ts";
import { CARBONS_NS } from "../carbons/eligible.ts";

export const newTable = () => new Sessions<TestSession>();

export class TestSession implements ClientSession {
  readonly id: string;
  readonly jid: Jid;
  route: Route;
  readonly state = new Map<string, unknown>();
  /** Handed over and not acknowledged. */
  outbox: Envelope[] = [];
  /** All that came, answers of the server included, as trees. */
  readonly received: Element[] = [];
  /** What the client acknowledged: it has it for good. */
  readonly acknowledged: Envelope[] = [];
  /** Stanzas it has sent. */
  sent = 0;
  isOver = false;
  /** Its connection is broken, and it may come back to this session. */
  isDetached = false;
  closedWith: string | undefined;
  onClose: (() => void) | undefined;
  #waiting: { left: number; done: (is: boolean) => void }[] = [];

  constructor(route: Route, jid: Jid) {
    this.id = route.session;
    this.jid = jid;
    this.route = route;
  }

  deliver(envelope: Envelope): boolean {
    if (this.isOver) return false;
    this.outbox.push(envelope);
    this.received.push(parseElement(envelope.bytes));
    return true;
  }

  send(bytes: Buffer): boolean {
    if (this.isOver) return false;
    this.received.push(parseElement(bytes));
    return true;
  }

  close(condition = ""): void {
    if (this.isOver) return;
    this.closedWith = condition;
    this.onClose?.();
  }

  whenAcknowledged(): Promise<boolean> {
    if (this.isOver) return Promise.resolve(false);
    if (this.outbox.length === 0) return Promise.resolve(true);
    return new Promise((done) => this.#waiting.push({ left: this.outbox.length, done }));
  }

  acknowledge(count = this.outbox.length): void {
    if (this.isDetached) return;
    this.acknowledged.push(...this.outbox.splice(0, count));
    for (const one of this.#waiting) {
      one.left -= count;
      if (one.left <= 0) one.done(true);
    }
    this.#waiting = this.#waiting.filter((one) => one.left > 0);
  }

  /** The connection is gone; what is in the outbox did not reach the client. */
  end(): readonly Envelope[] {
    this.isOver = true;
    for (const { done } of this.#waiting) done(false);
    this.#waiting = [];
    const left = this.outbox;
    this.outbox = [];
    return left;
  }

  /** Ids of the messages to it that the client has for good, in the order it got them. */
  messages(): string[] {
    return this.acknowledged.flatMap(idsOf);
  }
}

/** Of a copy of a received message (XEP-0280): the message's; of a sent one, none. */
function idsOf(envelope: Envelope): string[] {
  if (envelope.kind !== "message") return [];
  const [copy] = envelope.children;
  if (copy?.ns !== CARBONS_NS) return [envelope.id];
  if (copy.name === "sent") return [];
  const message = envelope.element().getChild("received")?.getChild("forwarded");
  return [String(message?.getChild("message")?.attrs.id)];
}
