/**
 * The payloads of the router's mesh frames. Every payload starts with an extension area that a
 * reader of version N skips and one of N + 1 may use; flags that a reader does not know are ignored.
 */
import type { FailedLoginReport } from "../guard/failed-logins.ts";
import { REPORTED_MAX } from "../guard/failed-logins.ts";
import type { OwnRoutes, Route, RouteSet } from "../routes/contract.ts";
import type { Origin } from "../stanza/origin.ts";
import type { CopySide } from "./copies.ts";
import { BadFrame, OctetReader, OctetWriter } from "./octets.ts";

/** Recipients in one frame; a broadcast to more is split. */
export const RECIPIENTS_MAX = 1_000;
/** Routes of one user in one frame; the routes room bounds the resources of a user far below. */
const ROUTES_MAX = 1_000;
/** Messages in one answer to whoever takes a session over. */
export const MISSED_MAX = 1_000;

const HAS_ORIGIN = 1;
const STAMPED = 2;
const AGAIN = 4;
const REROUTED = 8;
const COPY_SENT = 16;
const COPY_RECEIVED = 32;
const FOLLOWS = 64;
const GOES_ON = 128;

export interface Recipient {
  readonly full: string;
  /** Id of the session meant: another one of that address is not it. "" for whichever is there. */
  readonly session: string;
  /** The routes revision this recipient was chosen by. */
  readonly revision: number;
}

export interface DeliverFrame {
  readonly recipients: readonly Recipient[];
  /** encodeEnvelope of the stanza room. */
  readonly envelope: Buffer;
  readonly origin: Origin | undefined;
  /** The exit node writes each recipient's bare address into `to`. */
  readonly stamped: boolean;
  /** The recipients get copies of what was sent to, or received by, another of their resources. */
  readonly copy: CopySide | undefined;
  /** Sent before without an answer: who got it then does not get it again. */
  readonly again: boolean;
  /** From a session that ended: the answer must not wait for other sessions that are ending. */
  readonly rerouted: boolean;
  /** See Consignment. */
  readonly follows: boolean;
  readonly goesOn: boolean;
}

export interface DeliverAnswer {
  /** One for each recipient of the frame, in order: handed over, or no session took it. */
  readonly delivered: readonly boolean[];
  /** Users whose routes the exit node knows newer than the frame did. */
  readonly newer: readonly UserRoutes[];
}

export interface UserRoutes {
  readonly user: string;
  readonly set: RouteSet;
}

export function encodeDeliver(frame: DeliverFrame): Buffer {
  const { origin, recipients, envelope } = frame;
  const writer = new OctetWriter(envelope.length + 64 + recipients.length * 64).extension();
  writer.u8(
    (origin === undefined ? 0 : HAS_ORIGIN) |
      (frame.stamped ? STAMPED : 0) |
      (frame.again ? AGAIN : 0) |
      (frame.rerouted ? REROUTED : 0) |
      (frame.follows ? FOLLOWS : 0) |
      (frame.goesOn ? GOES_ON : 0) |
      (frame.copy === "sent" ? COPY_SENT : 0) |
      (frame.copy === "received" ? COPY_RECEIVED : 0),
  );
  if (origin !== undefined) writer.text(origin.session).u48(origin.count);
  writer.u16(recipients.length);
  for (const { full, session, revision } of recipients) {
    writer.text(full).text(session).u48(revision);
  }
  return writer.rest(envelope).done();
}

/** @throws BadFrame */
export function decodeDeliver(payload: Buffer): DeliverFrame {
  const reader = new OctetReader(payload);
  reader.skipExtension();
  const flags = reader.u8();
  const origin =
    (flags & HAS_ORIGIN) === 0 ? undefined : { session: reader.text(), count: reader.u48() };
  const recipients: Recipient[] = [];
  for (let left = reader.count(RECIPIENTS_MAX, 10); left > 0; left -= 1) {
    recipients.push({ full: reader.text(), session: reader.text(), revision: reader.u48() });
  }
  if (recipients.length === 0) throw new BadFrame("it names no recipient");
  return {
    recipients,
    origin,
    envelope: reader.rest(),
    stamped: (flags & STAMPED) !== 0,
    copy: copyOf(flags),
    again: (flags & AGAIN) !== 0,
    rerouted: (flags & REROUTED) !== 0,
    follows: (flags & FOLLOWS) !== 0,
    goesOn: (flags & GOES_ON) !== 0,
  };
}

function copyOf(flags: number): CopySide | undefined {
  if ((flags & COPY_SENT) !== 0) return "sent";
  return (flags & COPY_RECEIVED) !== 0 ? "received" : undefined;
}

export function encodeDeliverAnswer({ delivered, newer }: DeliverAnswer): Buffer {
  const writer = new OctetWriter(16 + delivered.length).extension().u16(delivered.length);
  for (const one of delivered) writer.u8(one ? 1 : 0);
  writer.u16(newer.length);
  for (const one of newer) writeUserRoutes(writer, one);
  return writer.done();
}

/** @throws BadFrame, also when the answer does not fit the number of recipients asked for. */
export function decodeDeliverAnswer(payload: Buffer, recipients: number): DeliverAnswer {
  const reader = new OctetReader(payload);
  reader.skipExtension();
  const delivered: boolean[] = [];
  for (let left = reader.count(RECIPIENTS_MAX, 1); left > 0; left -= 1) {
    delivered.push(reader.u8() === 1);
  }
  if (delivered.length !== recipients) throw new BadFrame("it answers for other recipients");
  const newer: UserRoutes[] = [];
  for (let left = reader.count(RECIPIENTS_MAX, 10); left > 0; left -= 1) {
    newer.push(readUserRoutes(reader));
  }
  return { delivered, newer };
}

/** Frame "routes": a node that holds sessions of `user` is told the newest set. */
export const encodeRoutes = (routes: UserRoutes): Buffer => {
  const writer = new OctetWriter().extension();
  writeUserRoutes(writer, routes);
  return writer.done();
};

/** @throws BadFrame */
export function decodeRoutes(payload: Buffer): UserRoutes {
  const reader = new OctetReader(payload);
  reader.skipExtension();
  return readUserRoutes(reader);
}

/** Frame "conflict": this session was replaced, or its account is gone, and must be closed. */
export interface ConflictFrame {
  readonly route: Route;
  /** The stream error it is closed with. */
  readonly condition: string;
}

export const encodeConflict = ({ route, condition }: ConflictFrame): Buffer => {
  const writer = new OctetWriter().extension().text(route.user);
  writeRoute(writer, route);
  return writer.text(condition).done();
};

/** @throws BadFrame */
export function decodeConflict(payload: Buffer): ConflictFrame {
  const reader = new OctetReader(payload);
  reader.skipExtension();
  return { route: readRoute(reader, reader.text()), condition: reader.text() };
}

/** Frame "offline": something was stored for `user`, who has a session on the node asked. */
export const encodeOffline = (user: string): Buffer =>
  new OctetWriter().extension().text(user).done();

/** @throws BadFrame */
export function decodeOffline(payload: Buffer): string {
  const reader = new OctetReader(payload);
  reader.skipExtension();
  return reader.text();
}

/** Frame "ownRoutes": what does the node asked hold of that user? "" for nothing but an answer. */
export const encodeOwnRoutesQuery = encodeOffline;

/** @throws BadFrame */
export const decodeOwnRoutesQuery = decodeOffline;

/** The answer to a question that can be answered so. */
export const encodeYes = (isSo: boolean): Buffer =>
  new OctetWriter(4)
    .extension()
    .u8(isSo ? 1 : 0)
    .done();

/** @throws BadFrame */
export function decodeYes(payload: Buffer): boolean {
  const reader = new OctetReader(payload);
  reader.skipExtension();
  return reader.u8() === 1;
}

export function encodeOwnRoutes({ isPublished, routes }: OwnRoutes): Buffer {
  const some = routes.slice(0, ROUTES_MAX);
  const writer = new OctetWriter()
    .extension()
    .u8(isPublished ? 1 : 0)
    .u16(some.length);
  for (const route of some) writeRoute(writer, route);
  return writer.done();
}

/** @throws BadFrame */
export function decodeOwnRoutes(payload: Buffer, user: string): OwnRoutes {
  const reader = new OctetReader(payload);
  reader.skipExtension();
  const isPublished = (reader.u8() & 1) !== 0;
  const routes: Route[] = [];
  for (let left = reader.count(ROUTES_MAX, 8); left > 0; left -= 1) {
    routes.push(readRoute(reader, user));
  }
  return { isPublished, routes };
}

function writeUserRoutes(writer: OctetWriter, { user, set }: UserRoutes): void {
  const routes = set.routes.slice(0, ROUTES_MAX);
  writer.text(user).u48(set.revision).u16(routes.length);
  for (const route of routes) writeRoute(writer, route);
}

function readUserRoutes(reader: OctetReader): UserRoutes {
  const user = reader.text();
  const revision = reader.u48();
  const routes: Route[] = [];
  for (let left = reader.count(ROUTES_MAX, 8); left > 0; left -= 1) {
    routes.push(readRoute(reader, user));
  }
  return { user, set: { revision, routes } };
}

/** Frame "missed": what was this session passed over for? */
export interface MissedQuery {
  /** As it is now: at the node that asks. */
  readonly route: Route;
  /** The node that had it, and is dead. */
  readonly owner: string;
}

export const encodeMissedQuery = ({ route, owner }: MissedQuery): Buffer => {
  const writer = new OctetWriter().extension().text(route.user);
  writeRoute(writer, route);
  return writer.text(owner).done();
};

/** @throws BadFrame */
export function decodeMissedQuery(payload: Buffer): MissedQuery {
  const reader = new OctetReader(payload);
  reader.skipExtension();
  return { route: readRoute(reader, reader.text()), owner: reader.text() };
}

/** @param missed each as in the frame "deliver" */
export function encodeMissed(missed: readonly Buffer[]): Buffer {
  const writer = new OctetWriter().extension().u16(missed.length);
  for (const one of missed) writer.block(one);
  return writer.done();
}

/** @throws BadFrame */
export function decodeMissed(payload: Buffer): readonly DeliverFrame[] {
  const reader = new OctetReader(payload);
  reader.skipExtension();
  const missed: DeliverFrame[] = [];
  for (let left = reader.count(MISSED_MAX, 6); left > 0; left -= 1) {
    missed.push(decodeDeliver(reader.block()));
  }
  return missed;
}

/** Frame "failedLogins": what a node saw since it told the last time. */
export function encodeFailedLogins({ addresses, accounts }: FailedLoginReport): Buffer {
  const writer = new OctetWriter().extension();
  for (const counts of [addresses, accounts]) {
    writer.u16(counts.size);
    for (const [key, count] of counts) writer.text(key).u16(Math.min(count, 0xffff));
  }
  return writer.done();
}

/** @throws BadFrame */
export function decodeFailedLogins(payload: Buffer): FailedLoginReport {
  const reader = new OctetReader(payload);
  reader.skipExtension();
  const readCounts = () => {
    const counts = new Map<string, number>();
    for (let left = reader.count(REPORTED_MAX, 4); left > 0; left -= 1) {
      counts.set(reader.text(), reader.u16());
    }
    return counts;
  };
  return { addresses: readCounts(), accounts: readCounts() };
}

/** Frame "move": the asking node's client resumes this session, which the asked node has. */
export interface MoveFrame {
  readonly route: Route;
  /** Of the record: it may be larger than a frame. */
  readonly offset: number;
}

export const encodeMove = ({ route, offset }: MoveFrame): Buffer => {
  const writer = new OctetWriter().extension().text(route.user);
  writeRoute(writer, route);
  return writer.u48(offset).done();
};

/** @throws BadFrame */
export function decodeMove(payload: Buffer): MoveFrame {
  const reader = new OctetReader(payload);
  reader.skipExtension();
  return { route: readRoute(reader, reader.text()), offset: reader.u48() };
}

const MOVE_ANSWERS = ["gone", "later", "part", "kept", "perhaps"] as const;

export type MoveAnswer =
  | { readonly kind: "gone" | "later" }
  /** A copy of it is there, of a node that is dead; or that seems to live. */
  | { readonly kind: "kept" | "perhaps" }
  /** A part of the record, which has `total` bytes. */
  | { readonly kind: "part"; readonly total: number; readonly bytes: Buffer };

export function encodeMoveAnswer(answer: MoveAnswer): Buffer {
  const writer = new OctetWriter().extension().u8(MOVE_ANSWERS.indexOf(answer.kind));
  if (answer.kind === "part") writer.u48(answer.total).rest(answer.bytes);
  return writer.done();
}

/** @throws BadFrame */
export function decodeMoveAnswer(payload: Buffer): MoveAnswer {
  const reader = new OctetReader(payload);
  reader.skipExtension();
  const kind = MOVE_ANSWERS[reader.u8()];
  if (kind === undefined) throw new BadFrame("its kind is not known");
  return kind === "part" ? { kind, total: reader.u48(), bytes: reader.rest() } : { kind };
}

export function writeRoute(writer: OctetWriter, route: Route): void {
  writer.text(route.resource).text(route.node).text(route.session);
  writer.u8((route.available ? 1 : 0) | ((route.moves ?? 0) << 1)).i8(route.priority);
}

export function readRoute(reader: OctetReader, user: string): Route {
  const [resource, node, session] = [reader.text(), reader.text(), reader.text()];
  const flags = reader.u8();
  const route = { user, resource, node, session, available: (flags & 1) !== 0 };
  const moves = flags >> 1;
  return { ...route, priority: reader.i8(), ...(moves > 0 && { moves }) };
}
