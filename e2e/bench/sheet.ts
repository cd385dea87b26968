/** What is measured, and the figures as they come in: a row each, a column for each server. */
import type { ServerName } from "./servers.ts";

interface Row {
  readonly title: string;
  readonly unit: string;
}

const row = (title: string, unit: string): Row => ({ title, unit });

/** In the order of the table. What is not here cannot be recorded. */
export const ROWS = {
  messagePlain: row("Message routed, plain", "CPU µs"),
  messageTls: row("Message routed, TLS", "CPU µs"),
  messagePaced: row("Message routed at the fixed rate, plain", "CPU µs"),
  ratePlain: row("Messages a second, closed loop, plain", "1/s"),
  rateTls: row("Messages a second, closed loop, TLS", "1/s"),
  p50Plain: row("Latency p50 at the fixed rate, plain", "ms"),
  p99Plain: row("Latency p99 at the fixed rate, plain", "ms"),
  p50Tls: row("Latency p50 at the fixed rate, TLS", "ms"),
  p99Tls: row("Latency p99 at the fixed rate, TLS", "ms"),
  p50Loaded: row("Latency p50 at 70 % of the server's own rate, plain", "ms"),
  p99Loaded: row("Latency p99 at 70 % of the server's own rate, plain", "ms"),
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
  message1: row("Message routed, 1× sessions", "CPU µs"),
  message4: row("Message routed, 4× sessions", "CPU µs"),
  message16: row("Message routed, 16× sessions", "CPU µs"),
  login1: row("Login, up to 1× sessions", "CPU ms"),
  login4: row("Login, up to 4× sessions", "CPU ms"),
  login16: row("Login, up to 16× sessions", "CPU ms"),
  roster1: row("Login, roster of 30", "CPU ms"),
  roster4: row("Login, roster of 120", "CPU ms"),
  roster16: row("Login, roster of 480", "CPU ms"),
} as const satisfies Record<string, Row>;

export type RowName = keyof typeof ROWS;

/** Rows that say how something grows: by which power of the size. */
export const SLOPES: readonly (readonly [string, readonly [RowName, RowName, RowName]])[] = [
  ["Message, by sessions", ["message1", "message4", "message16"]],
  ["Login, by sessions", ["login1", "login4", "login16"]],
  ["Login, by roster", ["roster1", "roster4", "roster16"]],
];

export type Figures = Partial<Record<RowName, number>>;

export class Sheet {
  readonly figures: Partial<Record<ServerName, Figures>> = {};
  readonly versions: Partial<Record<ServerName, string>> = {};
  /** What went wrong without stopping the run. */
  readonly notes: string[] = [];
  /** Shares of the machine that other work used while a server was measured. */
  readonly others: Partial<Record<ServerName, number[]>> = {};

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

  note(text: string): void {
    this.notes.push(text);
    process.stderr.write(`  note: ${text}\n`);
  }
}

/** Three digits that mean something. */
export function rounded(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return value.toPrecision(3).replace(/\.?0+$/, "");
}
