/** What one client of a dialogue has received and nobody has looked at yet, in order. */
import type { Element } from "ltx";

export type Arrival =
  | { readonly kind: "header" | "stanza"; readonly element: Element }
  /** The stream's closing tag. */
  | { readonly kind: "stream-end" }
  /** The connection is gone. */
  | { readonly kind: "disconnected" }
  | { readonly kind: "broken"; readonly why: string };

const ARRIVALS_MAX = 10_000;

/** A queue with one reader, who waits with a deadline. */
export class Inbox {
  #arrivals: Arrival[] = [];
  #wake: (() => void) | undefined;

  /** @throws Error when far more arrives than any dialogue expects. */
  push(arrival: Arrival): void {
    if (this.#arrivals.length >= ARRIVALS_MAX) throw new Error("Cannot go on: the inbox is full");
    this.#arrivals.push(arrival);
    this.#wake?.();
  }

  /** The next arrival; undefined when none came in time. After the end, the end is told again. */
  async next(deadlineMs: number): Promise<Arrival | undefined> {
    if (this.#arrivals.length === 0) await this.#wait(deadlineMs);
    const arrival = this.#arrivals.shift();
    if (arrival?.kind === "disconnected") this.#arrivals.push(arrival);
    return arrival;
  }

  /** Makes it the next arrival again. */
  putBack(arrival: Arrival): void {
    this.#arrivals.unshift(arrival);
  }

  /** What is there now and can be seen without waiting. */
  get waiting(): readonly Arrival[] {
    return this.#arrivals;
  }

  /** Forgets what was not read: a new connection begins. */
  clear(): void {
    this.#arrivals = [];
  }

  #wait(deadlineMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake?.(), deadlineMs);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }
}

/** One line that shows an arrival to a person. */
export function describeArrival(arrival: Arrival | undefined): string {
  if (arrival === undefined) return "nothing";
  switch (arrival.kind) {
    case "header":
      return `a stream header ${arrival.element.toString()}`;
    case "stanza":
      return arrival.element.toString();
    case "stream-end":
      return "</stream:stream>";
    case "disconnected":
      return "the end of the connection";
    case "broken":
      return `XML that is not well-formed: ${arrival.why}`;
    default:
      return arrival satisfies never;
  }
}
