/** A load process: keeps its share of the sessions and does what the bench orders. */
import type { Group, Order, Report } from "./contract.ts";
import { chatMessage, Drills, timedMessage, timedPresence } from "./drills.ts";
import { Latencies } from "./latencies.ts";
import type { SessionOwner, SessionStart } from "./session.ts";
import { LoadSession } from "./session.ts";

const [index = 0, processes = 1] = process.argv.slice(2).map(Number);
const FAILURES_KEPT = 3;
const CLOSE_MS = 20_000;
const RETRY_MS = 500;
const VISIT_TICK_MS = 5;

const latencies = new Latencies();
const drills = new Drills(latencies);
const sessions = new Map<string, LoadSession>();
/** Past sessions that were given a token, by user. */
const withToken = new Map<string, LoadSession>();
const waiting = new Map<LoadSession, (why: string | undefined) => void>();
let failures: string[] = [];
/** "counters" tells latencies; otherwise they are those of another order, which goes on. */
let isPouring = false;
/** Told of each session that breaks, while clients come back by themselves. */
let onBreak: ((session: LoadSession) => void) | undefined;

const fail = (why: string): void => {
  if (failures.length < FAILURES_KEPT) failures.push(why);
};

const owner: SessionOwner = {
  onOnline: (session) => settle(session, undefined),
  onStanza: (...stanza) => drills.onStanza(...stanza),
  onGone(session, why) {
    if (sessions.get(session.user) === session) sessions.delete(session.user);
    if (why !== undefined && onBreak === undefined) fail(`${session.user}: ${why}`);
    settle(session, why ?? "closed");
    if (why !== undefined) onBreak?.(session);
  },
};

function settle(session: LoadSession, why: string | undefined): void {
  waiting.get(session)?.(why);
  waiting.delete(session);
}

type Opening = Omit<SessionStart, "owner">;

/** Resolves when the session is online, with undefined when it could not be. */
function open(opening: Opening): Promise<LoadSession | undefined> {
  return new Promise((resolve) => {
    const startedMs = performance.now();
    const session = new LoadSession({ ...opening, owner });
    sessions.set(opening.user, session);
    waiting.set(session, (why) => {
      if (why === undefined) latencies.add(performance.now() - startedMs);
      resolve(why === undefined ? session : undefined);
    });
  });
}

/** Resolves when the connection is gone. */
function closed(session: LoadSession): Promise<void> {
  return new Promise((resolve) => {
    waiting.set(session, () => resolve());
    session.close();
  });
}

/** The users of a group that are this process's. */
function* own({ group, from, to }: Group): Generator<string> {
  for (let at = from; at < to; at++) if (at % processes === index) yield `${group}${at}`;
}

const ownSessions = (users: Group): readonly LoadSession[] =>
  [...own(users)].flatMap((user) => sessions.get(user) ?? []);

/** Runs `work` over the users, so many at once. @returns how often it answered true */
async function each(
  users: Iterable<string>,
  inFlight: number,
  work: (user: string) => Promise<boolean>,
): Promise<number> {
  const queue = users[Symbol.iterator]();
  let done = 0;
  const lane = async () => {
    for (let next = queue.next(); !next.done; next = queue.next()) {
      if (await work(next.value)) done += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return done;
}

const randomOf = ({ group, from, to }: Group): string =>
  `${group}${from + Math.floor(Math.random() * (to - from))}`;

async function visit(user: string, order: Order & { kind: "visits" }): Promise<boolean> {
  const session = await open({ user, target: order.target, acks: false });
  if (session === undefined) return false;
  session.write(chatMessage(randomOf(order.present), "v1"));
  session.write(chatMessage(randomOf(order.absent), "v2"));
  await closed(session);
  return true;
}

/** The group's numbers repeat in the names of its contacts. */
const contactOf = (user: string): string =>
  user.replace(/^\D/, (letter) => (letter === "r" ? "q" : "o"));

function chat({ users, partners }: Order & { kind: "chat" }): number {
  const pairs = ownSessions(users).map((session) => {
    const at = Number(session.user.slice(users.group.length)) - users.from;
    const partner = partners[at] as number;
    return [session, `${users.group}${users.from + partner}`, at < partner] as const;
  });
  drills.chat(pairs);
  return pairs.length;
}

const oneOf = (members: readonly LoadSession[]): LoadSession =>
  members[Math.floor(Math.random() * members.length)] as LoadSession;

/** What a session of the order writes next. */
function pacedStanza(
  { what, users, isAlone }: Order & { kind: "pace" },
  sender: LoadSession,
  members: readonly LoadSession[],
): string {
  if (what === "presence") return timedPresence(++sender.turn);
  if (what === undefined) return timedMessage(isAlone ? oneOf(members).user : randomOf(users));
  const at = Number(sender.user.slice(users.group.length));
  return timedMessage(`${users.group}${at ^ what.partner}`);
}

async function pace(order: Order & { kind: "pace" }): Promise<number> {
  const { users, isAlone = false, perSecond, warmUpSeconds, seconds } = order;
  const members = ownSessions(users);
  latencies.start(warmUpSeconds * 1_000);
  if (isAlone && index !== 0) return 0;
  const share = isAlone ? 1 : members.length / (users.to - users.from);
  drills.pace(() => {
    const sender = oneOf(members);
    sender.write(pacedStanza(order, sender, members));
  }, perSecond * share);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  drills.rest();
  return members.length;
}

function pour({ users, perSecond }: Order & { kind: "pour" }): number {
  const senders = ownSessions(users);
  isPouring = true;
  drills.pace(() => {
    oneOf(senders).write(timedMessage(randomOf(users)));
    drills.counters.sent += 1;
  }, perSecond / processes);
  return senders.length;
}

function arrive({ target, users, perSecond }: Order & { kind: "arrive" }): number {
  const away = [...own(users)];
  const visitOnce = async (user: string): Promise<void> => {
    const session = await open({ user, target, acks: false });
    drills.counters[session === undefined ? "failed" : "online"] += 1;
    if (session !== undefined) await closed(session);
    away.push(user);
  };
  drills.pace(() => {
    const user = away.shift(); // Nobody left: all of them are trying to log in.
    if (user !== undefined) void visitOnce(user);
  }, perSecond / processes);
  return away.length;
}

function connect({ target, users, inFlight, acks, wantsToken }: Order & { kind: "connect" }) {
  const manner = wantsToken === true ? { token: "wanted" as const } : {};
  return each(own(users), inFlight, async (user) => {
    const session = await open({ user, target, acks, ...manner });
    if (session !== undefined && wantsToken === true) withToken.set(user, session);
    return session !== undefined;
  });
}

async function disconnect(): Promise<number> {
  const all = [...sessions.values()];
  sessions.clear();
  const late = new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref());
  await Promise.race([Promise.all(all.map(closed)), late]);
  return all.length;
}

async function resume({ target, users, inFlight }: Order & { kind: "resume" }): Promise<number> {
  const before = new Map(ownSessions(users).map((session) => [session.user, session]));
  for (const session of before.values()) session.cut();
  await new Promise((resolve) => setTimeout(resolve, 500)); // The server notices.
  return each(before.keys(), inFlight, async (user) => {
    const previous = before.get(user);
    if (previous === undefined) return false;
    return (await open({ user, target, acks: true, previous }))?.isResumed === true;
  });
}

function comeBack({ target, users, inFlight }: Order & { kind: "return" }): Promise<number> {
  return each(own(users), inFlight, async (user) => {
    const of = withToken.get(user);
    if (of === undefined) return false;
    return (await open({ user, target, acks: false, token: { of } })) !== undefined;
  });
}

/** Begins so many visits a second; those that cannot begin for want of users do not. */
async function pacedVisits(order: Order & { kind: "visits" }, perSecond: number): Promise<number> {
  const running = new Set<Promise<void>>();
  const startedMs = performance.now();
  let [begun, done] = [0, 0];
  const begin = (user: string) => {
    const one = visit(user, order).then((isDone) => {
      running.delete(one);
      if (isDone) done += 1;
    });
    running.add(one);
  };
  for (const user of own(order.users)) {
    const dueMs = startedMs + (begun++ * 1_000 * processes) / perSecond;
    while (performance.now() < dueMs) {
      await new Promise((resolve) => setTimeout(resolve, VISIT_TICK_MS));
    }
    if (running.size < order.inFlight) begin(user);
    else fail(`${user}: ${order.inFlight} visits are under way already`);
  }
  await Promise.all(running);
  return done;
}

function visits(order: Order & { kind: "visits" }): Promise<number> {
  if (order.perSecond !== undefined) return pacedVisits(order, order.perSecond);
  return each(own(order.users), order.inFlight, (user) => visit(user, order));
}

/** How many of those connected to the lost port are online again when all are, or time is up. */
async function recover(order: Order & { kind: "recover" }): Promise<number> {
  const { target, lostPort, seconds } = order;
  const lost = [...sessions.values()].filter(({ port, isOnline }) => isOnline && port === lostPort);
  const away = new Set(lost);
  const times: number[] = [];
  const enough = Promise.withResolvers<void>();
  const deadline = setTimeout(() => enough.resolve(), seconds * 1_000);
  const comeBackFrom = async (previous: LoadSession) => {
    const brokenMs = performance.now();
    while (away.has(previous)) {
      const session = await open({ user: previous.user, target, acks: true, previous });
      if (session === undefined) {
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
        continue;
      }
      away.delete(previous);
      times.push(performance.now() - brokenMs);
      if (session.isResumed) drills.counters.resumed += 1;
    }
    if (away.size === 0) enough.resolve();
  };
  onBreak = (session) => {
    if (away.has(session)) void comeBackFrom(session);
  };
  if (lost.length > 0) await enough.promise;
  clearTimeout(deadline);
  onBreak = undefined;
  away.clear(); // Ends those who still try.
  latencies.start(0);
  for (const ms of times) latencies.add(ms);
  return times.length;
}

function perform(order: Order): number | Promise<number> {
  switch (order.kind) {
    case "connect":
      return connect(order);
    case "return":
      return comeBack(order);
    case "resume":
      return resume(order);
    case "disconnect":
      return disconnect();
    case "chat":
      return chat(order);
    case "chore": {
      const busy = ownSessions(order.users);
      drills.chore(busy, order.chore, contactOf);
      return busy.length;
    }
    case "rest":
      drills.rest();
      isPouring = false;
      return 0;
    case "pace":
      return pace(order);
    case "pour":
      return pour(order);
    case "arrive":
      return arrive(order);
    case "visits":
      return visits(order);
    case "recover":
      return recover(order);
    case "counters":
      return sessions.size;
  }
}

function timesFor({ kind }: Order): Float64Array {
  if (kind !== "counters") return latencies.sorted();
  return isPouring ? latencies.drain() : new Float64Array(0);
}

process.on("message", async (order: Order) => {
  failures = [];
  if (order.kind !== "counters") latencies.start(0);
  const done = await perform(order);
  const { user, system } = process.cpuUsage();
  const report: Report = {
    done,
    failures,
    counters: { ...drills.counters },
    latenciesMs: timesFor(order),
    quartersMs: latencies.quarters(),
    cpuMs: (user + system) / 1_000,
  };
  process.send?.(report);
});
process.on("disconnect", () => process.exit(0));
