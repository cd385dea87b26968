/** What an exit node says of stanzas that come again. */
import { expect, test } from "vitest";
import type { ClientSession } from "../session/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import { makeEnvelope } from "../stanza/envelope.ts";
import { Jid } from "../stanza/jid.ts";
import { parseStanza } from "../xml/parser.ts";
import { copyRules } from "./copies.ts";
import { newCounters } from "./counters.ts";
import type { Consignment } from "./hand-over.ts";
import { HandOver } from "./hand-over.ts";
import { Stages } from "./stages.ts";

const FULL = "juliet@capulet.example/balcony";
const ORIGIN = { session: "romeo's", count: 1 };
const SCOPE = new Map([["", "jabber:client"]]);
const MESSAGE = `<message to='${FULL}' type='chat'><body>Wherefore?</body></message>`;

interface TestSession extends ClientSession {
  readonly got: readonly Envelope[];
}

function newSession(id: string): TestSession {
  const got: Envelope[] = [];
  const jid = Jid.parse(FULL);
  const { bare: user, resource } = jid;
  const route = { user, resource, node: "one", session: id, available: true, priority: 0 };
  const deliver = (envelope: Envelope) => got.push(envelope) > 0;
  return { id, jid, route, state: new Map(), got, deliver, send: () => true, close() {} };
}

/** A node with one session of that address at most. */
function scene() {
  let session: ClientSession | undefined;
  const handOver = new HandOver({
    stages: new Stages([]),
    copyRules: copyRules([]),
    sessions: () => ({
      size: 1,
      get: () => session,
      ofUser: () => (session === undefined ? [] : [session]),
      all: () => (session === undefined ? [] : [session]),
    }),
    components: () => new Map(),
    counters: newCounters(),
    self: "one",
    shadows: () => undefined,
  });
  const from = Jid.parse("romeo@montague.example/orchard");
  const envelope = makeEnvelope(parseStanza(Buffer.from(MESSAGE), SCOPE), {
    from,
    to: Jid.parse(FULL),
    receivedMs: 0,
  });
  /** It comes from another session of hers that ended, and came before: no answer was heard. */
  const again = (id: string) => {
    const flags = { again: true, rerouted: true, remembered: true, stamped: false };
    const consignment: Consignment = { envelope, origin: ORIGIN, copy: undefined, ...flags };
    return handOver.take(consignment, FULL, id, "two");
  };
  const become = (next: ClientSession) => {
    session = next;
  };
  return { handOver, envelope, again, become };
}

const ABOUT = { origin: ORIGIN, isStored: false, copy: undefined };

test("what a session has is not given to it again, nor to the next one once it is acknowledged", () => {
  const { handOver, envelope, again, become } = scene();
  const [one, other] = [newSession("one"), newSession("other")];
  become(one);
  handOver.restore(one, envelope, ABOUT);
  expect(again("one")).toBe(true);
  become(other);
  expect(again("other")).toBe(true);
  expect([...one.got, ...other.got]).toEqual([]);
});

test("what went elsewhere with a session, unacknowledged, is given to the next one", () => {
  const { handOver, envelope, again, become } = scene();
  const [one, other] = [newSession("one"), newSession("other")];
  handOver.restore(one, envelope, ABOUT);
  handOver.forget(one, [envelope]);
  become(other);
  expect(again("other")).toBe(true);
  expect(other.got).toEqual([envelope]);
  expect(again("other")).toBe(true);
  expect(other.got).toEqual([envelope]);
});
