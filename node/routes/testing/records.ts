/** Records for tests. */
import type { NodeRecord, Route, RoutesEvents } from "../contract.ts";

export const makeNode = (incarnation = "self"): NodeRecord => ({
  incarnation,
  name: `zonda-${incarnation}`,
  meshHost: "127.0.0.1",
  meshPort: 5280,
  version: "0.1.0",
  zone: "default",
});

export const makeRoute = (changes: Partial<Route> = {}): Route => ({
  user: "juliet@example.com",
  resource: "balcony",
  node: "self",
  session: "session-1",
  available: false,
  priority: 0,
  ...changes,
});

/** Remembers every event as "name subject". */
export class Diary implements RoutesEvents {
  readonly lines: string[] = [];
  onNodeUp = (node: NodeRecord) => void this.lines.push(`up ${node.incarnation}`);
  onNodeLapsed = (node: NodeRecord) => void this.lines.push(`lapsed ${node.incarnation}`);
  onNodeBack = (node: NodeRecord) => void this.lines.push(`back ${node.incarnation}`);
  onNodeDown = (node: NodeRecord) => void this.lines.push(`down ${node.incarnation}`);
  onRouteLost = ({ session }: Route, holder: Route | undefined) =>
    void this.lines.push(`${holder?.session === session ? "moved" : "lost"} ${session}`);
  onNotice = (user: string) => void this.lines.push(`notice ${user}`);
  onLeaseLost = () => void this.lines.push("lease lost");
  onLeaseRegained = () => void this.lines.push("lease regained");
}
