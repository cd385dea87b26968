/** What the sessions of a load process do: each drill reacts to what arrives, or has a timer. */
import { DOMAIN } from "../harness/peers/contract.ts";
import type { Chore, Counters } from "./contract.ts";
import type { Latencies } from "./latencies.ts";
import { timedId } from "./latencies.ts";
import type { LoadSession } from "./session.ts";
import { IQ, idOf, MESSAGE, PRESENCE } from "./session.ts";

const TICK_MS = 1;
const TEXT = "But, soft! what light through yonder window breaks? It is the east, and so on";

const address = (user: string): string => `${user}@${DOMAIN}`;

/** A chat message as clients send it: an id, a body, a chat state. About 300 bytes. */
export const chatMessage = (to: string, id: string): string =>
  `<message to='${address(to)}' type='chat' id='${id}'><body>${TEXT}</body>` +
  "<active xmlns='http://jabber.org/protocol/chatstates'/>" +
  `<origin-id xmlns='urn:xmpp:sid:0' id='${id}'/></message>`;

const CHORES: Readonly<Record<Chore, (session: LoadSession, id: string) => string>> = {
  presence: ({ turn }, id) =>
    `<presence><show>away</show><status>turn ${turn}</status></presence>` +
    `<iq type='get' id='${id}' to='${DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>`,
  roster: ({ turn, partner }, id) =>
    `<iq type='set' id='${id}'><query xmlns='jabber:iq:roster'>` +
    `<item jid='${address(partner)}' name='turn ${turn}'><group>friends</group></item></query></iq>`,
  history: (_, id) =>
    `<iq type='set' id='${id}'><query xmlns='urn:xmpp:mam:2' queryid='${id}'>` +
    "<set xmlns='http://jabber.org/protocol/rsm'><max>50</max><before/></set></query></iq>",
};

export class Drills {
  readonly counters: Counters = {
    ...{ sent: 0, online: 0, failed: 0 },
    ...{ messages: 0, presences: 0, pushes: 0, answers: 0, resumed: 0 },
  };
  readonly #latencies: Latencies;
  #isChatting = false;
  #chore: Chore | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sendDue: (() => void) | undefined;

  constructor(latencies: Latencies) {
    this.#latencies = latencies;
  }

  /** Every pair has one message under way; who receives it answers. */
  chat(pairs: readonly (readonly [LoadSession, string, boolean])[]): void {
    this.#isChatting = true;
    for (const [session, partner, isFirst] of pairs) {
      session.partner = partner;
      if (isFirst) session.write(chatMessage(partner, "c0"));
    }
  }

  chore(sessions: readonly LoadSession[], chore: Chore, partnerOf: (user: string) => string): void {
    this.#chore = chore;
    for (const session of sessions) {
      session.partner = partnerOf(session.user);
      this.#next(session, chore);
    }
  }

  rest(): void {
    this.#isChatting = false;
    this.#chore = undefined;
    this.#sendDue = undefined;
    clearInterval(this.#timer);
  }

  /**
   * Sends at the given rate, whether answers come or not. It looks at the time whenever something
   * arrives: what a timer alone sends comes in bursts, and waits behind itself.
   */
  pace(send: () => void, perSecond: number): void {
    const startedMs = performance.now();
    let sent = 0;
    this.#sendDue = () => {
      const due = ((performance.now() - startedMs) / 1_000) * perSecond;
      for (; sent < due; sent++) send();
    };
    this.#timer = setInterval(this.#sendDue, TICK_MS);
  }

  onStanza(session: LoadSession, letter: number, bytes: Buffer, start: number, end: number): void {
    const { counters } = this;
    this.#sendDue?.();
    if (letter === PRESENCE) {
      counters.presences += 1;
      if (this.#sendDue !== undefined) this.#latencies.take(idOf(bytes, start, end));
    } else if (letter === MESSAGE) {
      counters.messages += 1;
      if (this.#isChatting) session.write(chatMessage(session.partner, `c${++session.turn}`));
      else if (end > start && this.#chore === undefined) {
        this.#latencies.take(idOf(bytes, start, end));
      }
    } else if (letter === IQ) {
      this.#onIq(session, idOf(bytes, start, end));
    }
  }

  #onIq(session: LoadSession, id: string): void {
    if (id !== `k${session.turn}`) {
      this.counters.pushes += 1;
      return;
    }
    this.counters.answers += 1;
    if (this.#chore !== undefined) this.#next(session, this.#chore);
  }

  #next(session: LoadSession, chore: Chore): void {
    session.turn += 1;
    session.write(CHORES[chore](session, `k${session.turn}`));
  }
}

/** A message whose way will be timed. */
export const timedMessage = (to: string): string => chatMessage(to, timedId());

/** A change of presence whose way to each contact will be timed. */
export const timedPresence = (turn: number): string =>
  `<presence id='${timedId()}'><show>away</show><status>turn ${turn}</status></presence>`;
