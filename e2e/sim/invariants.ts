/** What must always hold (docs/architecture.md), checked after every event and at the end. */

import { decodeRoute, Keys } from "../../node/routes/keys.ts";
import { archiveFaults } from "./archives.ts";
import type { SimCluster } from "./cluster.ts";
import type { Device } from "./device.ts";
import { SHADOWED_AFTER_MS, UNMIRRORED } from "./faults.ts";
import type { Copy, Said } from "./ledger.ts";
import { leftovers } from "./leftovers.ts";
import { idOf } from "./store.ts";

export const INVARIANTS = {
  lost: "what a client was told is accepted reaches a client of its recipient, or comes back",
  missed: "a session that goes on has what was accepted for it, whatever its other devices have",
  repeated: "a message reaches a device once; again only if nobody could know that it has it",
  order: "what one session says to another arrives in its order",
  routes: "each full address has one route, and every route leads to the session it names",
  owners: "a session is at one node, as often as it has moved",
  committed: "whoever is told that they have a session has had a route in etcd",
  claims: "a claim has one holder at any time",
  ghosts: "contacts see who is there, and nobody who is not, once leases and windows are over",
  farewells: "a session that has gone is seen to go once",
  leftovers: "nothing is left of sessions and nodes that are gone, once all is over",
  archived: "both archives have what was accepted, once",
  deadlines: "no call of a node lasts longer than it may",
  back: "whoever wants to is there, when nothing has been wrong for a while",
  bounded: "nothing waits any more when nobody does anything",
  counts: "nobody is told that more was accepted than was sent, or less than before",
  errors: "no code fails in a way nobody thought of",
} as const;
export type Invariant = keyof typeof INVARIANTS;

const keys = new Keys("/zonda/");

export class Checks {
  readonly #cluster: SimCluster;
  /** Of each pair of sessions: the place of the last message. */
  readonly #last = new Map<string, number>();
  readonly #told = new Set<string>();
  /** Users with several devices of which one has lost a session. */
  readonly #unsteady = new Set<string>();

  constructor(cluster: SimCluster) {
    this.#cluster = cluster;
  }

  afterEvent(): void {
    const holders = new Map<string, string>();
    for (const node of this.#cluster.alive) {
      const { machine, sessions } = node;
      for (const { jid, route, moving } of sessions.all()) {
        // One that stands still is on its way from here or to here.
        if (moving !== undefined) continue;
        const which = `${jid.full} (${route.session}, moved ${route.moves ?? 0} times)`;
        this.#hold("owners", holders, which, machine);
      }
      if (node.isPaused) continue; // It does nothing, and looks before it does.
      for (const { name } of node.claims) this.#hold("claims", holders, name, machine);
      const { overdue } = node;
      if (overdue !== undefined) this.#once("deadlines", `${machine}: ${overdue}`);
    }
  }

  #hold(invariant: Invariant, holders: Map<string, string>, what: string, machine: string): void {
    const other = holders.get(what);
    if (other === undefined) holders.set(what, machine);
    else this.#once(invariant, `${what} is held by ${other} and ${machine}`);
  }

  /** It is told that it has a session. */
  onThere({ user, name, full, node, farewells }: Device): void {
    // See UNHELD_ALWAYS: it may go on from a copy that is older than what it has heard.
    if (this.#cluster.world.hadFault(UNMIRRORED, Number.POSITIVE_INFINITY)) farewells.clear();
    const session = node?.sessions.get(full);
    if (node === undefined || session === undefined) return;
    const key = Buffer.from(keys.route({ user, resource: name }));
    const written = this.#cluster.model.since(1, key, Buffer.concat([key, Buffer.from([0])]));
    const isCommitted = written.some(({ event: { kv } }) => {
      const route = decodeRoute(user, name, kv.value);
      return route?.node === node.machine && route.session === session.id;
    });
    if (!isCommitted)
      this.#break("committed", `${full} is told of ${session.id} on ${node.machine}`);
  }

  onMessage(device: Device, said: Said, copy: Copy): void {
    this.#checkRepeated(device, said, copy);
    if (said.sessions.length > 1 || said.doubt !== undefined || !this.#isOrdered(device, said))
      return;
    const pair = `${said.sessions[0]} ${copy.session}`;
    const last = this.#last.get(pair) ?? 0;
    // What is a repeat is not out of order as well.
    const isBefore = (one: Copy) =>
      one.session === copy.session || (one.device === device.full && one.isAcknowledged);
    const isAgain = said.copies.some(isBefore);
    if (said.place < last && !isAgain) {
      this.#break("order", `${said.id} (${said.place}.) reaches ${copy.session} after ${last}.`);
    }
    this.#last.set(pair, Math.max(last, said.place));
  }

  #checkRepeated(device: Device, said: Said, copy: Copy): void {
    if (said.doubt !== undefined) return;
    // See UNHELD_ALWAYS: what is known of a session that went on at another node is not all known there.
    const hasMoved = ({ session }: Copy) => device.moved.has(session);
    const before = said.copies.filter((one) => one.device === device.full && !hasMoved(one));
    const inSession = before.filter(({ session }) => session === copy.session).length;
    const known = before.filter(({ isAcknowledged }) => isAcknowledged).length;
    const allowed = said.sessions.length - 1;
    if (inSession > allowed) {
      this.#break("repeated", `${said.id} reaches ${copy.session} once more`);
    } else if (known > allowed && this.#isOnlyDevice(device) && !this.#isOfPaused(said)) {
      const first = before.find(({ isAcknowledged }) => isAcknowledged);
      if (first === undefined || this.#isUnknown(said, first, copy, device)) return;
      const { session } = first;
      this.#break(
        "repeated",
        `${said.id} reaches ${copy.session}, and ${session} has acknowledged it`,
      );
    }
  }

  /** See UNHELD_ALWAYS: who could say it is silent, or the session that it comes to has moved. */
  #isUnknown({ isResent }: Said, first: Copy, copy: Copy, { moved }: Device): boolean {
    if (!isResent || first.session === copy.session) return false;
    return this.#cluster.nodeAt(first.node)?.isPaused === true || moved.has(copy.session);
  }

  /**
   * What a node had that stood still it passes on when it goes on, and what its client sends again elsewhere
   * comes to a session which has begun since, if that one's node stood still as well: see docs/architecture.md.
   */
  #isOfPaused({ isResent }: Said): boolean {
    const { world, isOneAtATime } = this.#cluster;
    return isResent && !isOneAtATime && world.hadFault(["pause"], SHADOWED_AFTER_MS);
  }

  /**
   * What one device did not acknowledge when its session ended comes to any other, late, and also to
   * one that has it: without an archive nobody knows that any more.
   */
  #isOnlyDevice({ user }: Device): boolean {
    return this.#cluster.devices.filter((one) => one.user === user).length === 1;
  }

  /** What one device did not acknowledge comes late to another, but only once its session has ended. */
  #isOrdered({ user, full }: Device, { awaited }: Said): boolean {
    const all = this.#cluster.devices.filter((one) => one.user === user);
    if (all.length === 1) return true;
    if (!all.every(({ isSteady }) => isSteady)) this.#unsteady.add(user);
    // Who has come since it was said may be given it as well, whenever it arrives.
    return !this.#unsteady.has(user) && awaited.some(({ device }) => device === full);
  }

  /** When leases and windows are over: who is there is there for everybody. */
  atRest(): void {
    this.#checkRoutes();
    this.#checkPresence();
    this.#checkBounds();
    for (const why of leftovers(this.#cluster)) this.#break("leftovers", why);
  }

  /** When everybody is there and has had time. */
  atEnd(): void {
    const { devices, ledger, store, users } = this.#cluster;
    for (const { full, isBound } of devices) {
      if (!isBound) this.#break("back", `${full} is not there`);
    }
    for (const said of ledger.said.values()) {
      const { id, isAccepted, isReturned, doubt, copies, toUser } = said;
      if (!isAccepted || isReturned || doubt !== undefined || copies.length > 0) continue;
      this.#break("lost", `${id} from ${said.fromUser} to ${toUser} was accepted, and is nowhere`);
    }
    for (const said of ledger.said.values()) this.#checkMissed(said);
    for (const why of archiveFaults(this.#cluster)) this.#break("archived", why);
    for (const user of users) {
      for (const { bytes } of store.memory.storedFor(user)) {
        const said = ledger.said.get(idOf(bytes));
        // Whoever stored it may have died before telling anybody: the next login finds it.
        if (said === undefined || said.doubt !== undefined) continue;
        // The store did not say that it has it: the sender was told, and nobody knows whom to wake.
        if (said.isReturned) continue;
        this.#break("bounded", `${said.id} is still stored for ${user}`);
      }
    }
  }

  #checkMissed(said: Said): void {
    const { devices } = this.#cluster;
    const { id, isAccepted, isReturned, doubt, copies, awaited } = said;
    if (said.mayBeMissed || !isAccepted || isReturned || doubt !== undefined) return;
    for (const { device, session } of awaited) {
      const now = devices.find(({ full }) => full === device)?.announced;
      if (now?.session !== session || copies.some((copy) => copy.session === session)) continue;
      this.#break("missed", `${id} was accepted, and ${session} goes on without it`);
    }
  }

  #checkRoutes(): void {
    const { alive, model } = this.#cluster;
    const routed = new Map<string, string>();
    const { key: first, end } = keys.routes;
    for (const { key, value } of model.range({ key: first, range_end: end }).kvs) {
      const user = keys.userOf(key);
      const route = decodeRoute(user, keys.resource(user, key), value);
      if (route === undefined) continue;
      const full = `${user}/${route.resource}`;
      routed.set(full, `${route.node} ${route.session}`);
      const node = alive.find(({ machine }) => machine === route.node);
      const session = node?.sessions.get(full);
      if (session?.id !== route.session) {
        this.#break("routes", `${full} is routed to ${route.node}, where ${session?.id} is`);
      }
    }
    for (const node of alive) {
      for (const { jid, id } of node.sessions.all()) {
        if (routed.get(jid.full) !== `${node.machine} ${id}`) {
          this.#break("routes", `${jid.full} has a session on ${node.machine} and no route to it`);
        }
      }
    }
  }

  #checkPresence(): void {
    const { devices } = this.#cluster;
    const online = new Set(devices.filter(({ isBound }) => isBound).map(({ full }) => full));
    for (const device of devices) {
      if (!device.isBound) continue;
      for (const other of devices) {
        if (other.user === device.user) continue;
        const isSeen = device.seen.has(other.full);
        if (isSeen === online.has(other.full) || device.lingering.has(other.full)) continue;
        const what = isSeen ? "still sees" : "does not see";
        this.#break("ghosts", `${device.full} ${what} ${other.full}`);
      }
    }
  }

  #checkBounds(): void {
    for (const { machine, parts, sessions } of this.#cluster.alive) {
      const { door, router, mesh, routes } = parts;
      const left = {
        negotiating: door?.negotiating ?? 0,
        detached: door?.detached ?? 0,
        laneTasks: router?.stats().laneTasks ?? 0,
        unanswered: mesh?.stats.unanswered ?? 0,
        chores: routes?.gauges.chores ?? 0,
        knownUsers: Math.max(0, (routes?.gauges.knownUsers ?? 0) - sessions.size),
      };
      for (const [what, count] of Object.entries(left)) {
        if (count > 0) this.#break("bounded", `${machine} has ${count} ${what} at rest`);
      }
    }
  }

  #once(invariant: Invariant, why: string): void {
    if (this.#told.has(why)) return;
    this.#told.add(why);
    this.#break(invariant, why);
  }

  #break(invariant: Invariant, why: string): void {
    this.#cluster.break(invariant, why);
  }
}
