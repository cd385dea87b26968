/** Frames on their way from owners to keepers: in order, late, lost, or arrived without an answer. */
import type { MirrorItem, Verdict } from "../mirror.ts";

export interface Frame {
  readonly owner: string;
  readonly keeper: string;
  readonly term: number;
  readonly items: readonly MirrorItem[];
  /** Of the keeper's faults, those that its sender knew of. */
  readonly known: number;
  /** What was answered, when it has arrived. */
  answer: readonly Verdict[] | undefined;
  resolve(answer: readonly Verdict[]): void;
  reject(error: Error): void;
}

export class Network {
  /** By owner and keeper: only the first of each can arrive. */
  readonly #queues = new Map<string, Frame[]>();
  /** Their senders have given up on them; they may arrive whenever they like. */
  readonly #strays: Frame[] = [];
  readonly #arrived: Frame[] = [];

  send(about: Pick<Frame, "owner" | "keeper" | "term" | "items" | "known">) {
    const { promise, resolve, reject } = Promise.withResolvers<readonly Verdict[]>();
    const key = `${about.owner} ${about.keeper}`;
    const queue = this.#queues.get(key) ?? [];
    this.#queues.set(key, queue);
    queue.push({ ...about, answer: undefined, resolve, reject });
    return promise;
  }

  /** What can arrive next. */
  get next(): readonly Frame[] {
    return [...this.#queues.values()].flatMap((queue) => queue.slice(0, 1));
  }

  get strays(): readonly Frame[] {
    return this.#strays;
  }

  /** What was answered, and not heard of yet. */
  get arrived(): readonly Frame[] {
    return this.#arrived;
  }

  get pending(): readonly Frame[] {
    return [...[...this.#queues.values()].flat(), ...this.#arrived];
  }

  arrive(frame: Frame, answer: readonly Verdict[]): void {
    this.#remove(frame);
    frame.answer = answer;
    this.#arrived.push(frame);
  }

  arriveAstray(frame: Frame): void {
    this.#strays.splice(this.#strays.indexOf(frame), 1);
  }

  answer(frame: Frame): void {
    this.#remove(frame);
    if (frame.answer !== undefined) frame.resolve(frame.answer);
  }

  /** Its sender is told that it may not have arrived. */
  fail(frame: Frame, mayArrive: boolean): void {
    this.#remove(frame);
    if (mayArrive && frame.answer === undefined) this.#strays.push(frame);
    frame.reject(new Error("mesh-timeout"));
  }

  #remove(frame: Frame): void {
    for (const queue of [...this.#queues.values(), this.#arrived]) {
      const at = queue.indexOf(frame);
      if (at >= 0) queue.splice(at, 1);
    }
  }
}
