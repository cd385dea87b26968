/** From the record of a session to what the door needs to go on with it. */
import type { ClientSession, Incoming } from "../session/contract.ts";
import type { Carried } from "./carried.ts";
import type { About, HandOver } from "./hand-over.ts";
import type { SessionRecord, Waiting } from "./session-wire.ts";

const NOT_STORED: About = { origin: undefined, isStored: false, copy: undefined };

export interface IncomingParts {
  readonly handOver: HandOver;
  readonly carried: Carried;
  readonly onTakenOver: (session: ClientSession, from: string | undefined) => void;
}

/**
 * Without what its client had from this node before another took the session over from an older copy, and was
 * sent again there. What is inherited stays: it counts in the client's next `h`.
 */
function withoutHad(record: SessionRecord, handOver: HandOver): SessionRecord {
  const { inherited = record.waiting.length, route } = record.state;
  const isNews = ({ about }: Waiting) => about === undefined || !handOver.wasHad(about, route);
  return {
    ...record,
    waiting: record.waiting.filter((one, place) => place < inherited || isNews(one)),
    held: record.held.filter(isNews),
  };
}

export function incomingOf(record: SessionRecord, parts: IncomingParts): Incoming {
  const { handOver, carried, onTakenOver } = parts;
  const { waiting, held } = withoutHad(record, handOver);
  return {
    state: { ...record.state, waiting: waiting.map(({ stanza }) => stanza) },
    install(session) {
      handOver.restoreRecent(session, record.recent);
      for (const { stanza, about = NOT_STORED } of waiting) {
        if (!Buffer.isBuffer(stanza)) handOver.restore(session, stanza, about);
      }
      for (const { stanza, about = NOT_STORED } of held) {
        if (!Buffer.isBuffer(stanza)) handOver.restoreHeld(session, stanza, about);
      }
      carried.import(session, record.carried);
    },
    undo: (session, left) => handOver.forget(session, left),
    onTaken: (session) => onTakenOver(session, record.state.route.node),
  };
}
