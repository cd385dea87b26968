/**
 * Who said what to whom, and what became of it. Pure: the verdict of a run is computed here. Where
 * people have several devices, each may have a letter, once and in order; one of them must.
 */

export interface Letter {
  readonly from: string;
  readonly to: string;
  /** Counts the letters of this sender to this recipient. */
  readonly number: number;
  readonly sentMs: number;
  isAcknowledged: boolean;
  /** How often the sender could not resume, so it sent it anew: each may be one more of it. */
  sentAnew: number;
  /** The sender was told that it does not arrive. */
  isReturned: boolean;
  /** How often the recipient had it and could not resume, before the server can know: as above. */
  expectedAgain: number;
  /** When it first arrived anywhere. */
  arrivedMs: number | undefined;
  /** How often it arrived, by device. */
  readonly times: Map<string, number>;
}

export interface Verdict {
  readonly sent: number;
  readonly acknowledged: number;
  readonly delivered: number;
  /** Came back to the sender as an error, and never arrived. */
  readonly returned: number;
  /** Came back, and arrived: the store did not say in time that it has it. docs/architecture.md allows it. */
  readonly returnedAndArrived: readonly string[];
  /** Acknowledged to the sender, and neither returned nor ever seen by the recipient. */
  readonly lost: readonly string[];
  readonly repeated: readonly string[];
  /** Came again, but no more often than its sender or its recipient had to begin anew: see `Letter`. */
  readonly again: readonly string[];
  readonly outOfOrder: readonly string[];
  /** The same of those under way when their sender or recipient had to begin anew: docs/architecture.md allows it. */
  readonly overtaken: readonly string[];
  /** Arrived, but not at all of the recipient's devices. */
  readonly missed: readonly string[];
  /** The longest that a letter took. */
  readonly slowestMs: number;
}

export const letterId = ({ from, to, number }: Pick<Letter, "from" | "to" | "number">): string =>
  `${from}.${to}.${number}`;

/** A letter that came to a device for the first time. */
interface Arrival {
  readonly letter: Letter;
  readonly client: string;
  readonly atMs: number;
}

export class Ledger {
  readonly #letters = new Map<string, Letter>();
  readonly #numbers = new Map<string, number>();
  readonly #devices: number;
  /** The order of first arrivals, by sender and client. */
  readonly #arrivals = new Map<string, Arrival[]>();
  /** When each client began a session that does not go on with the one before. */
  readonly #begun = new Map<string, number[]>();

  /** @param devices of each person */
  constructor(devices = 1) {
    this.#devices = devices;
  }

  /** Letters that are acknowledged and have not arrived, nor come back. */
  get underWay(): number {
    let count = 0;
    for (const letter of this.#letters.values()) if (isMissing(letter)) count += 1;
    return count;
  }

  get unacknowledged(): number {
    let count = 0;
    for (const { isAcknowledged } of this.#letters.values()) if (!isAcknowledged) count += 1;
    return count;
  }

  /** A new letter. @returns its id */
  write(from: string, to: string, nowMs: number): string {
    const pair = `${from}.${to}`;
    const number = (this.#numbers.get(pair) ?? 0) + 1;
    this.#numbers.set(pair, number);
    const id = `${pair}.${number}`;
    const letter = { from, to, number, sentMs: nowMs };
    const fresh = { isAcknowledged: false, sentAnew: 0, expectedAgain: 0, isReturned: false };
    this.#letters.set(id, { ...letter, ...fresh, arrivedMs: undefined, times: new Map() });
    return id;
  }

  acknowledge(id: string): void {
    const letter = this.#letters.get(id);
    if (letter !== undefined) letter.isAcknowledged = true;
  }

  sendAnew(id: string): void {
    const letter = this.#letters.get(id);
    if (letter !== undefined) letter.sentAnew += 1;
  }

  comeBack(id: string): void {
    const letter = this.#letters.get(id);
    if (letter !== undefined) letter.isReturned = true;
  }

  expectAgain(id: string): void {
    const letter = this.#letters.get(id);
    if (letter !== undefined) letter.expectedAgain += 1;
  }

  /** @param client a person, with the device if there are several */
  begin(client: string, nowMs: number): void {
    const times = this.#begun.get(client) ?? [];
    times.push(nowMs);
    this.#begun.set(client, times);
  }

  /** @param device of the recipient */
  arrive(id: string, nowMs: number, device = ""): void {
    const letter = this.#letters.get(id);
    if (letter === undefined) return;
    letter.arrivedMs ??= nowMs;
    const times = (letter.times.get(device) ?? 0) + 1;
    letter.times.set(device, times);
    if (times > 1) return;
    const client = `${letter.to}${device}`;
    const pair = `${letter.from}.${client}`;
    const arrivals = this.#arrivals.get(pair) ?? [];
    arrivals.push({ letter, client, atMs: nowMs });
    this.#arrivals.set(pair, arrivals);
  }

  verdict(): Verdict {
    const all = [...this.#letters.values()];
    const arrived = all.filter(hasArrived);
    const twice = arrived.filter((letter) => mostOf(letter) > 1);
    const late = [...this.#arrivals.values()].flatMap(overtaken);
    const delays = arrived.map(({ arrivedMs = 0, sentMs }) => arrivedMs - sentMs);
    return {
      sent: all.length,
      acknowledged: all.filter(({ isAcknowledged }) => isAcknowledged).length,
      delivered: arrived.length,
      returned: all.filter((letter) => letter.isReturned && !hasArrived(letter)).length,
      returnedAndArrived: arrived.filter(({ isReturned }) => isReturned).map(letterId),
      lost: all.filter(isMissing).map(letterId),
      repeated: twice.filter((letter) => !isOnlyAgain(letter)).map(letterId),
      again: twice.filter(isOnlyAgain).map(letterId),
      outOfOrder: late.filter((one) => !this.#hasBegun(one)).map(({ letter }) => letterId(letter)),
      overtaken: late.filter((one) => this.#hasBegun(one)).map(({ letter }) => letterId(letter)),
      missed: arrived.filter(({ times }) => times.size < this.#devices).map(letterId),
      slowestMs: delays.reduce((most, delay) => Math.max(most, delay), 0),
    };
  }

  /** Whether its sender or recipient began anew while it was under way. */
  #hasBegun({ letter: { from, sentMs }, client, atMs }: Arrival): boolean {
    const times = [from, client].flatMap((one) => this.#begun.get(one) ?? []);
    return times.some((time) => time >= sentMs && time <= atMs);
  }
}

const hasArrived = ({ arrivedMs }: Letter): boolean => arrivedMs !== undefined;

/** How often the device had it that had it most often. */
const mostOf = ({ times }: Letter): number => Math.max(0, ...times.values());

const isOnlyAgain = (letter: Letter): boolean =>
  mostOf(letter) <= 1 + letter.sentAnew + letter.expectedAgain;

const isMissing = (letter: Letter): boolean =>
  letter.isAcknowledged && !letter.isReturned && !hasArrived(letter);

/** Letters that came behind a later one of the same pair, though neither was sent anew or came back. */
function overtaken(arrivals: readonly Arrival[]): readonly Arrival[] {
  let highest = 0;
  const late: Arrival[] = [];
  for (const arrival of arrivals) {
    const { number, sentAnew, isReturned } = arrival.letter;
    if (sentAnew > 0 || isReturned) continue;
    if (number < highest) late.push(arrival);
    else highest = number;
  }
  return late;
}
