/** What presence remembers of one session, on the session's own node; empty parts cost nothing. */
import { kept } from "../../stanza/envelope.ts";
import { decodeEnvelope, encodeEnvelope } from "../../stanza/wire.ts";
import type { ClientSession, Envelope, Host } from "../contract.ts";
import { carried } from "../contract.ts";

const KEY = "presence";

export interface PresenceState {
  /** The last available presence, as a template; undefined while unavailable. */
  last: Envelope | undefined;
  /** What its client said last, until that is published: etcd or the store may be away. */
  wished: Envelope | undefined;
  /** Messages for it wait until its presence is published. */
  isArriving: boolean;
  /** Accounts that see this session, by bare address: who was told, and must hear of the end. */
  audience: Set<string>;
  /** Addresses that got directed presence and are not in the audience (RFC 6121, 4.6). */
  directed: Set<string> | undefined;
  /** Sessions of others that this one was shown as available: full address to node. */
  seen: Map<string, string> | undefined;
  /** There were more of them than are remembered. */
  seesMore: boolean;
  /** It was on a node that died, and may have missed who came and who went. */
  isUnsure: boolean;
  /** Somebody may not have been asked yet who is there: its next node does not know whom. */
  isAsking: boolean;
  /** Roster changes that arrived while the roster was being read: contact to "sees us now". */
  changes: Map<string, boolean> | undefined;
}

const newState = (): PresenceState => ({
  last: undefined,
  wished: undefined,
  isArriving: false,
  audience: new Set(),
  directed: undefined,
  seen: undefined,
  seesMore: false,
  isUnsure: false,
  isAsking: false,
  changes: undefined,
});

export function stateOf(session: ClientSession): PresenceState {
  const known = session.state.get(KEY) as PresenceState | undefined;
  if (known !== undefined) return known;
  const state = newState();
  session.state.set(KEY, state);
  return state;
}

type Following = Pick<Host["router"], "stateChanged">;

/** It is shown that address at that node; undefined: as gone. Its copy knows when its client does. */
export function setSeen(
  router: Following,
  session: ClientSession,
  full: string,
  node: string | undefined,
): void {
  const state = stateOf(session);
  if (state.seen?.get(full) === node) return;
  const change: Change = { seen: full, node };
  router.stateChanged(session, KEY, change);
  applyChange(state, change);
}

/** It is shown an address that there is no room for in `seen`. */
export function setSeesMore(router: Following, session: ClientSession): void {
  const state = stateOf(session);
  if (state.seesMore) return;
  const change: Change = { seesMore: true };
  router.stateChanged(session, KEY, change);
  applyChange(state, change);
}

/** An account sees it from now on, or no longer. */
export function setAudience(
  router: Following,
  session: ClientSession,
  account: string,
  sees: boolean,
): void {
  const state = stateOf(session);
  if (state.audience.has(account) === sees) return;
  const change: Change = { audience: account, sees };
  router.stateChanged(session, KEY, change);
  applyChange(state, change);
}

/** All of it may be another than its copy knows, though its client has sent nothing. */
export function tellCopy(router: Following, session: ClientSession): void {
  const change: Change = { all: saidOf(stateOf(session)) };
  router.stateChanged(session, KEY, change);
}

type Change =
  | { readonly all: Said }
  | { readonly seesMore: true }
  | { readonly seen: string; readonly node: string | undefined }
  | { readonly audience: string; readonly sees: boolean };

function applyChange(state: PresenceState, change: Change): void {
  if ("all" in change) {
    Object.assign(state, stateFrom(change.all));
    return;
  }
  if ("seesMore" in change) {
    state.seesMore = change.seesMore;
    return;
  }
  if ("audience" in change) {
    if (change.sees) state.audience.add(change.audience);
    else state.audience.delete(change.audience);
    return;
  }
  const { seen: full, node } = change;
  if (node === undefined) state.seen?.delete(full);
  else {
    state.seen ??= new Map();
    state.seen.set(full, node);
  }
}

/** The state of a session that has any, so that asking makes none. */
export const knownState = (session: ClientSession): PresenceState | undefined =>
  session.state.get(KEY) as PresenceState | undefined;

/** It has neither ended nor gone on elsewhere. */
export const isHere = ({ sessions }: Pick<Host, "sessions">, session: ClientSession): boolean =>
  sessions().get(session.jid.full) === session;

interface Said {
  readonly last?: string;
  readonly wished?: string;
  readonly audience: readonly string[];
  readonly directed?: readonly string[];
  readonly seen?: readonly (readonly [string, string])[];
  readonly seesMore?: boolean;
  readonly isUnsure?: boolean;
}

const written = (presence: Envelope): string => encodeEnvelope(presence).toString("base64");
const read = (presence: string | undefined): Envelope | undefined =>
  presence === undefined ? undefined : kept(decodeEnvelope(Buffer.from(presence, "base64")));

const saidOf = (state: PresenceState): Said => {
  const { last, wished, audience, directed, seen, seesMore } = state;
  const isUnsure = state.isUnsure || state.isAsking;
  return {
    ...(last && { last: written(last) }),
    ...(wished && { wished: written(wished) }),
    audience: [...audience],
    ...(directed && { directed: [...directed] }),
    ...(seen && { seen: [...seen] }),
    ...(seesMore && { seesMore }),
    ...(isUnsure && { isUnsure }),
  };
};

const stateFrom = (said: Said): PresenceState => ({
  ...newState(),
  last: read(said.last),
  wished: read(said.wished),
  audience: new Set(said.audience),
  directed: said.directed && new Set(said.directed),
  seen: said.seen && new Map(said.seen),
  seesMore: said.seesMore ?? false,
  isUnsure: said.isUnsure ?? false,
});

/** Who saw the session, and whom it saw: both go on seeing each other. */
export const carriedPresence = carried<PresenceState>(
  KEY,
  saidOf,
  stateFrom,
  (state = newState(), change: Change) => {
    applyChange(state, change);
    return state;
  },
);
