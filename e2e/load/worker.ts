/** A load process: keeps its share of the sessions and does what the bench orders. */
import type { Group, Order, Report } from "./contract.ts";
import { chatMessage, Drills, timedMessage } from "./drills.ts";
import { Latencies } from "./latencies.ts";
import type { SessionOwner, SessionStart } from "./session.ts";
import { LoadSession } from "./session.ts";

const [index = 0, processes = 1] = process.argv.slice(2).map(Number);
const FAILURES_KEPT = 3;
const CLOSE_MS = 20_000;

const latencies = new Latencies();
const drills = new Drills(latencies);
const sessions = new Map<string, LoadSession>();
/** Past sessions that were given a token, by user. */
const withToken = new Map<string, LoadSession>();
const waiting = new Map<LoadSession, (why: string | undefined) => void>();
let failures: string[] = [];

const fail = (why: string): void => {
  if (failures.length < FAILURES_KEPT) failures.push(why);
};

const owner: SessionOwner = {
  onOnline: (session) => settle(session, undefined),
  onStanza: (...stanza) => drills.onStanza(...stanza),
  onGone(session, why) {
    if (sessions.get(session.user) === session) sessions.delete(session.user);
    if (why !== undefined) fail(`${session.user}: ${why}`);
    settle(session, why ?? "closed");
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
    const session = new LoadSession({ ...opening, owner });
    sessions.set(opening.user, session);
    waiting.set(session, (why) => resolve(why === undefined ? session : undefined));
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

function chat({ users, partners }: Order & { kind: "chat" }): number {
  const pairs = ownSessions(users).map((session) => {
    const at = Number(session.user.slice(users.group.length)) - users.from;
    const partner = partners[at] as number;
    return [session, `${users.group}${users.from + partner}`, at < partner] as const;
  });
  drills.chat(pairs);
  return pairs.length;
}

async function pace(order: Order & { kind: "pace" }): Promise<number> {
  const senders = ownSessions(order.users);
  latencies.start(order.warmUpSeconds * 1_000);
  const send = () => {
    const sender = senders[Math.floor(Math.random() * senders.length)] as LoadSession;
    sender.write(timedMessage(randomOf(order.users)));
  };
  drills.pace(send, order.perSecond / processes);
  await new Promise((resolve) => setTimeout(resolve, order.seconds * 1_000));
  drills.rest();
  return senders.length;
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
    return (await open({ user, target, acks: true, previous })) !== undefined;
  });
}

function comeBack({ target, users, inFlight }: Order & { kind: "return" }): Promise<number> {
  return each(own(users), inFlight, async (user) => {
    const of = withToken.get(user);
    if (of === undefined) return false;
    return (await open({ user, target, acks: false, token: { of } })) !== undefined;
  });
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
      // The group's numbers repeat in the names of its contacts.
      drills.chore(busy, order.chore, (user) => user.replace(/^\D+/, "o"));
      return busy.length;
    }
    case "rest":
      drills.rest();
      return 0;
    case "pace":
      return pace(order);
    case "visits":
      return each(own(order.users), order.inFlight, (user) => visit(user, order));
    case "counters":
      return sessions.size;
  }
}

process.on("message", async (order: Order) => {
  failures = [];
  const done = await perform(order);
  const { user, system } = process.cpuUsage();
  const report: Report = {
    done,
    failures,
    counters: { ...drills.counters },
    latenciesMs: order.kind === "pace" ? latencies.sorted() : new Float64Array(0),
    cpuMs: (user + system) / 1_000,
  };
  process.send?.(report);
});
process.on("disconnect", () => process.exit(0));
