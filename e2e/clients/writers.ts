/** Two people who keep writing to each other, and what can be said about their messages after. */
import type { Client } from "./client.ts";

const PAUSE_MS = 50;

export interface Correspondence {
  readonly from: Client;
  readonly to: Client;
  readonly label: string;
}

export interface Findings {
  readonly sent: number;
  /** Acknowledged to the sender by the server, and never seen by the recipient. */
  readonly lost: readonly string[];
  /** Seen twice though the sender never had to send it again. */
  readonly repeated: readonly string[];
  /** Seen after a later one of the same sender though neither was sent again. */
  readonly swapped: readonly string[];
}

/** Writes in both directions until `stop`, a message every 50 ms each way. */
export class Writers {
  readonly #pairs: readonly Correspondence[];
  readonly #timer: NodeJS.Timeout;
  readonly #sent: Map<string, number>;

  constructor(pairs: readonly Correspondence[]) {
    this.#pairs = pairs;
    this.#sent = new Map(pairs.map(({ label }) => [label, 0]));
    this.#timer = setInterval(() => this.#writeOnce(), PAUSE_MS);
  }

  #writeOnce(): void {
    for (const { from, to, label } of this.#pairs) {
      const number = (this.#sent.get(label) ?? 0) + 1;
      this.#sent.set(label, number);
      const id = `${label}-${number}`;
      from.do({ do: "message", to: to.address, id, body: id });
    }
  }

  /** Stops writing and waits until every message is acknowledged and has arrived. */
  async stop(): Promise<readonly Findings[]> {
    clearInterval(this.#timer);
    const findings: Findings[] = [];
    for (const pair of this.#pairs) {
      const sent = this.#sent.get(pair.label) as number;
      const all = Array.from({ length: sent }, (_, index) => `${pair.label}-${index + 1}`);
      await settle(pair, all);
      findings.push(judge(pair, all));
    }
    return findings;
  }
}

/** Waits for each message to arrive, in the face of reconnections; what is missing is judged. */
async function settle({ from, to }: Correspondence, ids: readonly string[]): Promise<void> {
  const hasAll = (seen: readonly string[]): boolean => {
    const set = new Set(seen);
    return ids.every((id) => set.has(id));
  };
  await from.untilAcknowledged(ids);
  await to.until("all messages", (one) => hasAll(one.bodies)).catch(() => {});
}

function judge({ from, to, label }: Correspondence, ids: readonly string[]): Findings {
  const seen = to.all("message").filter(({ id }) => id.startsWith(`${label}-`));
  const times = new Map<string, number>();
  for (const { id } of seen) times.set(id, (times.get(id) ?? 0) + 1);
  const acknowledged = new Set(from.all("acked").map(({ id }) => id));
  const resent = new Set(from.resent);
  const firsts = [...times.keys()].filter((id) => !resent.has(id)).map((id) => numberOf(id));
  return {
    sent: ids.length,
    lost: ids.filter((id) => acknowledged.has(id) && !times.has(id)),
    repeated: ids.filter((id) => (times.get(id) ?? 0) > 1 && !resent.has(id)),
    swapped: firsts.flatMap((number, at) =>
      number < (firsts[at - 1] ?? 0) ? [`${label}-${number}`] : [],
    ),
  };
}

const numberOf = (id: string): number => Number(id.slice(id.lastIndexOf("-") + 1));
