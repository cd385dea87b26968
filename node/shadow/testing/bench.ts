/** A mirror whose frames a test answers itself. */
import { expect } from "vitest";
import { FakeClock } from "../../base/fake-clock.ts";
import type { MirrorItem, Verdict } from "../mirror.ts";
import { Mirror } from "../mirror.ts";

export interface Sent {
  readonly node: string;
  readonly term: number;
  readonly items: readonly MirrorItem[];
  readonly isAwaited: boolean;
  resolve(verdicts: readonly Verdict[]): void;
  reject(error: Error): void;
}

export const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A mirror, and what it asks for; nodes are chosen in the order given. */
export class Bench {
  readonly nodes: string[];
  readonly sent: Sent[] = [];
  readonly renounced: { readonly about: string; readonly resolve: (isNoted: boolean) => void }[] =
    [];
  readonly kept: string[] = [];
  readonly clock = new FakeClock();
  /** Whether what is encoded next is all there is. */
  isComplete = true;
  /** Whether there is something for the client in it. */
  isForClient = false;
  /** As far as that goes. */
  until = 0;
  readonly stored: string[] = [];
  readonly mirror = new Mirror({
    choose: (_id, isUsable) => this.nodes.find(isUsable),
    encode: (id) => ({
      payload: Buffer.from(id),
      isComplete: this.isComplete,
      until: this.until,
      isForClient: this.isForClient,
    }),
    send: (node, term, items, isAwaited) => {
      const { promise, resolve, reject } = Promise.withResolvers<readonly Verdict[]>();
      this.sent.push({ node, term, items, isAwaited, resolve, reject });
      return promise;
    },
    notesLastMs: Number.POSITIVE_INFINITY,
    renounce: (node, term) =>
      new Promise((resolve) => this.renounced.push({ about: `${node} ${term}`, resolve })),
    schedule: (work) => void setImmediate(work),
    after: (ms, work) => void this.clock.after(ms, work),
    nowMs: () => this.clock.monotonicMs(),
    onKept: (id) => void this.kept.push(id),
    onStored: (id, until) => void this.stored.push(`${id} ${until}`),
  });

  constructor(...nodes: string[]) {
    this.nodes = nodes;
  }

  /** Everything sent since the last call. */
  async next(): Promise<readonly Sent[]> {
    await turn();
    await turn();
    return this.sent.splice(0);
  }

  async one(): Promise<Sent> {
    const [sent, ...others] = await this.next();
    expect(others).toEqual([]);
    if (sent === undefined) throw new Error("nothing was sent");
    return sent;
  }
}

export const told = ({ node, term, items }: Sent): string =>
  `${node} ${term}: ${items.map(({ kind, id, sequence }) => `${kind} ${id} ${sequence}`).join(", ")}`;

/** What a wait has come to by now. */
export async function stateOf(wait: Promise<boolean> | undefined): Promise<boolean | "waits"> {
  return await Promise.race([wait ?? true, turn().then(() => "waits" as const)]);
}

/** A session "s" whose whole its shadow has. */
export async function mirrored(...nodes: string[]): Promise<Bench> {
  const bench = new Bench(...nodes);
  bench.mirror.begin("s");
  (await bench.one()).resolve(["stored"]);
  await turn();
  return bench;
}
