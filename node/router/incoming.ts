/** From the record of a session to what the door needs to go on with it. */
import type { ClientSession, Incoming } from "../session/contract.ts";
import type { Carried } from "./carried.ts";
import type { About, HandOver } from "./hand-over.ts";
import type { SessionRecord } from "./session-wire.ts";

const NOT_STORED: About = { origin: undefined, isStored: false, copy: undefined };

export interface IncomingParts {
  readonly handOver: HandOver;
  readonly carried: Carried;
  readonly onTakenOver: (session: ClientSession, from: string) => void;
}

export function incomingOf(record: SessionRecord, parts: IncomingParts): Incoming {
  const { handOver, carried, onTakenOver } = parts;
  return {
    state: { ...record.state, waiting: record.waiting.map(({ stanza }) => stanza) },
    install(session) {
      handOver.restoreRecent(session, record.recent);
      for (const { stanza, about = NOT_STORED } of record.waiting) {
        if (!Buffer.isBuffer(stanza)) handOver.restore(session, stanza, about);
      }
      for (const { stanza, about = NOT_STORED } of record.held) {
        if (!Buffer.isBuffer(stanza)) handOver.restoreHeld(session, stanza, about);
      }
      carried.import(session, record.carried);
    },
    undo: (session, left) => handOver.forget(session, left),
    onTaken: (session) => onTakenOver(session, record.state.route.node),
  };
}
