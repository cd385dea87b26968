/** What is measured, and the figures as they come in: a row each, a column for each server. */
import type { ServerName } from "./servers.ts";

interface Row {
  readonly title: string;
  readonly unit: string;
}

const row = (title: string, unit: string): Row => ({ title, unit });

const FIXED = {
  messagePlain: row("Message routed, plain", "CPU µs"),
  messageTls: row("Message routed, TLS", "CPU µs"),
  messagePaced: row("Message routed at the fixed rate, plain", "CPU µs"),
  ratePlain: row("Messages a second, closed loop, plain", "1/s"),
  rateTls: row("Messages a second, closed loop, TLS", "1/s"),
  p50Plain: row("Latency p50 at the fixed rate, plain", "ms"),
  p99Plain: row("Latency p99 at the fixed rate, plain", "ms"),
  usualPlain: row("The same, of the median quarter second", "ms"),
  p50Tls: row("Latency p50 at the fixed rate, TLS", "ms"),
  p99Tls: row("Latency p99 at the fixed rate, TLS", "ms"),
  usualTls: row("The same, of the median quarter second", "ms"),
  p50Loaded: row("Latency p50 at 70 % of the server's own rate, plain", "ms"),
  p99Loaded: row("Latency p99 at 70 % of the server's own rate, plain", "ms"),
  usualLoaded: row("The same, of the median quarter second", "ms"),
  p50Same: row("Latency p50 at 10,000 messages a second, plain", "ms"),
  p99Same: row("Latency p99 at 10,000 messages a second, plain", "ms"),
  usualSame: row("The same, of the median quarter second", "ms"),
  loginPlain: row("Login, plain", "CPU ms"),
  loginTls: row("Login, TLS", "CPU ms"),
  resumption: row("Login and resumption (XEP-0198), plain", "CPU ms"),
  token: row("Login by token (XEP-0388, 0386, 0484), TLS", "CPU ms"),
  visit: row("Seed scenario, a session", "CPU ms"),
  presence: row("Presence delivered", "CPU µs"),
  push: row("Roster change pushed", "CPU µs"),
  archived: row("Message routed and archived, plain", "CPU µs"),
  history: row("Page of history, 50 messages", "CPU µs"),
  memoryStart: row("Memory at the start", "MiB"),
  idlePlain: row("Idle session, plain", "KiB"),
  usedPlain: row("Session after use, plain", "KiB"),
  idleTls: row("Idle session, TLS", "KiB"),
  usedTls: row("Session after use, TLS", "KiB"),
} as const satisfies Record<string, Row>;

const times = (what: string) => [`1× ${what}`, `4× ${what}`, `16× ${what}`] as const;
const UP_TO = ["up to 1× sessions", "up to 4× sessions", "up to 16× sessions"] as const;
const ROSTERS = ["roster of 30", "roster of 120", "roster of 480"] as const;

export interface Grown extends Row {
  /** What becomes four and sixteen times as much. */
  readonly by: "sessions" | "users" | "roster";
  readonly sizes: readonly [string, string, string];
}

const bySessions = (title: string, unit: string): Grown => {
  return { title, unit, by: "sessions", sizes: times("sessions") };
};
const byUsers = (title: string): Grown => {
  return { title, unit: "CPU µs", by: "users", sizes: times("users") };
};
const byRoster = (title: string, unit: string): Grown => {
  return { title, unit, by: "roster", sizes: ROSTERS };
};

/** What is measured at three sizes: a row for each, and one that says how it grows. */
export const GROWN = {
  message: bySessions("Message routed", "CPU µs"),
  login: { ...bySessions("Login", "CPU ms"), sizes: UP_TO },
  presenceBySessions: bySessions("Presence delivered", "CPU µs"),
  pushBySessions: bySessions("Roster change pushed", "CPU µs"),
  archivedBySessions: bySessions("Message routed and archived", "CPU µs"),
  historyBySessions: bySessions("Page of history", "CPU µs"),
  presenceByUsers: byUsers("Presence delivered"),
  pushByUsers: byUsers("Roster change pushed"),
  archivedByUsers: byUsers("Message routed and archived"),
  historyByUsers: byUsers("Page of history"),
  roster: byRoster("Login", "CPU ms"),
  presenceByRoster: byRoster("Presence delivered", "CPU µs"),
  pushByRoster: byRoster("Roster change pushed", "CPU µs"),
} as const satisfies Record<string, Grown>;

export type GrownName = keyof typeof GROWN;
/** How many times the smallest size. */
export type Level = 1 | 4 | 16;
export const LEVELS = [1, 4, 16] as const satisfies readonly Level[];

/** Where latency is measured: `p50`, `p99` and `usual` of each have a row. */
export type Paced = "Plain" | "Tls" | "Loaded" | "Same";

export type RowName = keyof typeof FIXED | `${GrownName}${Level}`;

/** In the order of the table. What is not here cannot be recorded. */
export const ROWS = {
  ...FIXED,
  ...Object.fromEntries(
    Object.entries(GROWN).flatMap(([name, { title, unit, sizes }]) =>
      LEVELS.map((level, at) => [`${name}${level}`, row(`${title}, ${sizes[at]}`, unit)]),
    ),
  ),
} as Readonly<Record<RowName, Row>>;

export type Figures = Partial<Record<RowName, number>>;

export class Sheet {
  readonly figures: Partial<Record<ServerName, Figures>> = {};
  readonly versions: Partial<Record<ServerName, string>> = {};
  /** What went wrong without stopping the run. */
  readonly notes: string[] = [];
  /** Shares of the machine that other work used while a server was measured. */
  readonly others: Partial<Record<ServerName, number[]>> = {};
  /** Shares of the time before it was started in which a processor was slow. */
  readonly slow: Partial<Record<ServerName, number[]>> = {};

  put(server: ServerName, name: RowName, value: number): void {
    const own = this.figures[server] ?? {};
    own[name] = value;
    this.figures[server] = own;
    const { title, unit } = ROWS[name];
    process.stderr.write(`  ${server.padEnd(9)}${title}: ${rounded(value)} ${unit}\n`);
  }

  get(server: ServerName, name: RowName): number | undefined {
    return this.figures[server]?.[name];
  }

  seeOthers(server: ServerName, share: number): void {
    this.others[server] = [...(this.others[server] ?? []), share];
  }

  seeSlow(server: ServerName, share: number | undefined): void {
    if (share !== undefined) this.slow[server] = [...(this.slow[server] ?? []), share];
  }

  note(text: string): void {
    this.notes.push(text);
    process.stderr.write(`  note: ${text}\n`);
  }
}

/** Three digits that mean something. */
export function rounded(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return String(Number(value.toPrecision(3)));
}
