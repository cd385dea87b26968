/** A connection of an external component, as the router sees it. */
import type { ComponentConnection } from "../../components/contract.ts";
import type { Route } from "../../routes/contract.ts";
import type { Envelope } from "../../stanza/contract.ts";
import type { Jid } from "../../stanza/jid.ts";

export class TestComponent implements ComponentConnection {
  readonly id: string;
  readonly jid: Jid;
  readonly route: Route;
  readonly received: Envelope[] = [];
  /** Stanzas that it sent. */
  sent = 0;
  closedWith: string | undefined;

  constructor(jid: Jid, node: string) {
    this.id = jid.resource;
    this.jid = jid;
    this.route = {
      ...{ user: jid.domain, resource: jid.resource, node, session: jid.resource },
      ...{ available: true, priority: 0 },
    };
  }

  deliver(envelope: Envelope): boolean {
    this.received.push(envelope);
    return true;
  }

  close(condition: string): void {
    this.closedWith = condition;
  }
}
