/** Who has an account, and who is whose contact; every subscription goes both ways. */
import type { PeerAccount } from "../harness/peers/contract.ts";

/** Contacts of a usual roster. */
export const ROSTER = 30;
/** Larger rosters, for seeing how a login grows with them, and how many users have each. */
export const LARGER_ROSTERS = [ROSTER, 4 * ROSTER, 16 * ROSTER] as const;
export const LARGER_ROSTER_USERS = 16;
/** All members of a clique are each other's contacts, and are online. */
const CLIQUE = ROSTER + 1;
export const CLIQUE_USERS = 4 * CLIQUE;

export interface PopulationSize {
  /** "u" users, whose contacts, the "o" users, never come online. */
  readonly users: number;
  readonly contacts: number;
  /** For the figures of presence. */
  readonly withCliques?: boolean;
  /** For seeing how a login grows with the roster. */
  readonly withLargerRosters?: boolean;
}

const modulo = (value: number, size: number): number => ((value % size) + size) % size;
const range = (size: number): readonly number[] => Array.from({ length: size }, (_, at) => at);

/** "u" users and "o" users: each has so many of the other kind. */
function* spread({ users, contacts }: PopulationSize): Generator<PeerAccount> {
  const steps = range(contacts);
  for (let at = 0; at < users; at++) {
    yield { name: `u${at}`, contacts: steps.map((step) => `o${modulo(at + step, users)}`) };
    yield { name: `o${at}`, contacts: steps.map((step) => `u${modulo(at - step, users)}`) };
  }
}

/** "p" users in cliques. */
function* cliques(): Generator<PeerAccount> {
  for (let at = 0; at < CLIQUE_USERS; at++) {
    const first = at - (at % CLIQUE);
    const others = range(CLIQUE).map((step) => first + step);
    const contacts = others.filter((other) => other !== at).map((other) => `p${other}`);
    yield { name: `p${at}`, contacts };
  }
}

/** The groups "r30n", "r120n" of users with larger rosters. */
function* largerRosters(): Generator<PeerAccount> {
  for (const size of LARGER_ROSTERS) {
    const owners = range(LARGER_ROSTER_USERS).map((at) => `r${size}n${at}`);
    for (const name of owners) yield { name, contacts: range(size).map((at) => `q${size}n${at}`) };
    for (const at of range(size)) yield { name: `q${size}n${at}`, contacts: owners };
  }
}

export function* population(size: PopulationSize): Generator<PeerAccount> {
  yield* spread(size);
  if (size.withCliques === true) yield* cliques();
  if (size.withLargerRosters === true) yield* largerRosters();
}
