/**
 * What comes from external components (XEP-0114): it enters the line without a sender's side, as what
 * other servers send does. On the way to them see Line and HandOver.
 */
import type {
  ComponentConnection,
  ComponentEvents,
  ComponentTable,
} from "../components/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { Jid } from "../stanza/jid.ts";
import type { Origin } from "../stanza/origin.ts";
import type { ParsedStanza } from "../xml/contract.ts";
import type { Acceptance } from "./accept.ts";
import type { Counters } from "./counters.ts";
import type { Line } from "./line.ts";

export interface ComponentsOptions {
  /** Prepared; none of them is one of the service's own. */
  readonly domains: ReadonlySet<string>;
  /** Read at every use: the door is opened after the router. */
  readonly table: () => ComponentTable;
}

export const NO_COMPONENTS: ComponentsOptions = {
  domains: new Set(),
  table: () => ({ size: 0, get: () => undefined }),
};

export interface FromComponentsParts {
  readonly acceptance: Acceptance;
  readonly line: Line;
  readonly counters: Counters;
  readonly newOrigin: () => Origin;
}

export class FromComponents implements ComponentEvents {
  readonly #parts: FromComponentsParts;

  constructor(parts: FromComponentsParts) {
    this.#parts = parts;
  }

  onComponentStanza(
    connection: ComponentConnection,
    from: Jid,
    parsed: ParsedStanza,
    count: number,
  ): void | Promise<void> {
    const { counters, acceptance, line } = this.#parts;
    counters.stanzasIn += 1;
    const accepted = acceptance.acceptFrom(from, parsed);
    if (accepted === undefined) return;
    if (accepted.kind === "refused") return line.reject(accepted.envelope, accepted.condition);
    return line.route(accepted.envelope, { origin: { session: connection.id, count } });
  }

  /** To another connection of the component, or back. Never rejects. */
  async onComponentEnded(
    { id: exceptSession }: ComponentConnection,
    unsent: readonly Envelope[],
  ): Promise<void> {
    const { counters, line, newOrigin } = this.#parts;
    counters.rerouted += unsent.length;
    const routed = unsent.map((envelope) => {
      const origin = envelope.origin ?? newOrigin();
      return line.route(envelope, { origin, exceptSession });
    });
    await Promise.all(routed);
  }
}
