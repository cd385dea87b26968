/**
 * One SQLite file in WAL mode. Calls are synchronous on the main thread: for the one node this
 * engine is for, a read takes microseconds, and writes are grouped, so that the one flush to disk
 * (synchronous=FULL: what has resolved survives a power cut) is shared by all writes of a moment.
 */
import type { StatementSync } from "node:sqlite";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { ConfigError, Unavailable } from "../../base/errors.ts";
import { BUSY, CORRUPT, LOCKED, makePrivate, NOT_A_DATABASE, resultCode } from "./file.ts";
import { migrateSqlite } from "./migrate.ts";

const FILE_NAME = "zonda.db";
/** How long a statement waits for another process, such as `zonda user add`. */
const BUSY_TIMEOUT_MS = 2_000;
const OPEN_DEADLINE_MS = 10_000;
const WRITES_PER_COMMIT = 256;
/**
 * Between two commits: a busy store flushes to disk this often and not for each write, which would
 * keep the event loop. A write that comes after a pause does not wait. The more writes a commit had,
 * the more the next one may collect: it costs as much as a dozen of them.
 */
const PAUSE_MS = { min: 4, perWrite: 2, max: 12 };
const WRITES_WAITING_MAX = 10_000;

interface Write {
  readonly what: string;
  /** Runs inside the transaction; answers how to tell the caller once it is committed. */
  readonly run: () => () => void;
  readonly reject: (error: unknown) => void;
}

export class Connection {
  readonly #database: DatabaseSync;
  readonly #dataVersion: StatementSync;
  readonly #beginReading: StatementSync;
  readonly #beginWriting: StatementSync;
  readonly #end: StatementSync;
  #waiting: Write[] = [];
  /** Takes back the commit that is due. */
  #unschedule: (() => void) | undefined;
  /** When the next commit may be. */
  #dueMs = 0;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#dataVersion = database.prepare("PRAGMA data_version");
    this.#beginReading = database.prepare("BEGIN");
    this.#beginWriting = database.prepare("BEGIN IMMEDIATE");
    this.#end = database.prepare("COMMIT");
  }

  /** Within `read`: differs whenever another process has changed anything in the file. */
  othersChanges(): number {
    return Number(this.#dataVersion.get()?.data_version);
  }

  prepare(sql: string): StatementSync {
    return this.#database.prepare(sql);
  }

  /**
   * What `work` answers. The reads of one turn of the event loop are one transaction, unless a commit
   * comes between: to lock the file for each costs four times as much as a read.
   * @throws Unavailable "Cannot <what>: ..."
   */
  read<T>(what: string, work: () => T): T {
    if (!this.#database.isOpen) throw closed(what);
    try {
      if (!this.#database.isTransaction) {
        this.#beginReading.run();
        setImmediate(this.#endReading);
      }
      return work();
    } catch (error) {
      this.#endReading();
      throw asUnavailable(error, what);
    }
  }

  readonly #endReading = (): void => {
    if (this.#database.isOpen && this.#database.isTransaction) this.#end.run();
  };

  /**
   * Runs `work` in the next group commit and resolves with its answer after the commit. A throw
   * undoes and rejects this write alone; the others of its group are run again. Rejects with
   * Unavailable "store-overload" when too many writes wait already.
   */
  write<T>(what: string, work: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (!this.#database.isOpen) throw closed(what);
      if (this.#waiting.length >= WRITES_WAITING_MAX) {
        throw new Unavailable("store-overload", `Cannot ${what}: too many writes are waiting`);
      }
      const run = () => {
        const value = work();
        return () => resolve(value);
      };
      this.#waiting.push({ what, run, reject });
      this.#unschedule ??= this.#schedule();
    });
  }

  #schedule(): () => void {
    const waitMs = this.#dueMs - performance.now();
    if (waitMs <= 0) {
      const immediate = setImmediate(() => this.#commit());
      return () => clearImmediate(immediate);
    }
    const timer = setTimeout(() => this.#commit(), waitMs);
    return () => clearTimeout(timer);
  }

  /** Commits what is waiting and closes the file; calls after it are refused. */
  close(): void {
    while (this.#waiting.length > 0) this.#commit();
    if (this.#database.isOpen) this.#database.close();
  }

  #commit(): void {
    this.#unschedule?.();
    this.#unschedule = undefined;
    const group = this.#waiting.splice(0, WRITES_PER_COMMIT);
    // Those that are left have waited already, so they do not wait again.
    if (this.#waiting.length > 0) this.#unschedule = this.#schedule();
    for (let left = group; left.length > 0; ) left = this.#store(left);
    const { min, perWrite, max } = PAUSE_MS;
    this.#dueMs = performance.now() + Math.min(max, Math.max(min, perWrite * group.length));
  }

  /**
   * One transaction, without savepoints: hardly any write fails, and each would cost as much as a write.
   * @returns those to be run again, without one that has failed
   */
  #store(group: Write[]): Write[] {
    const committed: (() => void)[] = [];
    let running: Write | undefined;
    try {
      this.#endReading();
      this.#beginWriting.run();
      for (running of group) committed.push(running.run());
      running = undefined;
      this.#end.run();
    } catch (error) {
      // Unless SQLite has undone everything by itself: then the group has failed.
      const isOnes = running !== undefined && this.#database.isTransaction;
      this.#rollBack();
      const failed = isOnes ? group.filter((write) => write === running) : group;
      for (const { reject, what } of failed) reject(asUnavailable(error, what));
      return isOnes ? group.filter((write) => write !== running) : [];
    }
    for (const tell of committed) tell();
    return [];
  }

  #rollBack(): void {
    try {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
    } catch {
      // The first error is the one to report; the next BEGIN fails if this one matters.
    }
  }
}

/**
 * Opens, or creates readable for its owner only, the store in `directory`, at the current schema.
 * @throws ConfigError when the directory or file cannot be used
 */
export async function openConnection(directory: string): Promise<Connection> {
  const deadlineMs = performance.now() + OPEN_DEADLINE_MS;
  for (;;) {
    try {
      return openOnce(directory);
    } catch (error) {
      // Two processes that create the file at once: the switch to WAL does not wait by itself.
      const isBusy = resultCode(error) === BUSY || resultCode(error) === LOCKED;
      if (isBusy && performance.now() < deadlineMs) {
        await sleep(20);
        continue;
      }
      if (error instanceof ConfigError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new ConfigError(`Cannot open the store in ${directory}: ${why}`, { cause: error });
    }
  }
}

function openOnce(directory: string): Connection {
  const file = makePrivate(directory, FILE_NAME);
  const database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS });
  try {
    const mode = database.prepare("PRAGMA journal_mode = WAL").get()?.journal_mode;
    if (mode !== "wal") throw new Error(`its file system allows no write-ahead log (${mode})`);
    database.exec("PRAGMA synchronous = FULL");
    migrateSqlite(database);
    return new Connection(database);
  } catch (error) {
    database.close();
    throw error;
  }
}

const closed = (what: string): Unavailable =>
  new Unavailable("store-unavailable", `Cannot ${what}: the store is closed`);

function asUnavailable(error: unknown, what: string): unknown {
  const code = resultCode(error);
  if (error instanceof Unavailable || code === undefined) return error;
  const why = (error as Error).message;
  return new Unavailable(unavailableCode(code), `Cannot ${what}: ${why}`, { cause: error });
}

function unavailableCode(code: number): string {
  if (code === BUSY || code === LOCKED) return "store-timeout";
  if (code === CORRUPT || code === NOT_A_DATABASE) return "store-corrupt";
  return "store-unavailable";
}
