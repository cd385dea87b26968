/** Who has an account and who knows whom, when there are many; every subscription goes both ways. */
import type { PeerAccount } from "../harness/peers/contract.ts";

export interface Crowd {
  readonly users: number;
  /** Of each user; even. */
  readonly contacts: number;
}

/**
 * The numbers of a user's contacts, spread evenly over all users, so that as large a part of them is
 * online as of everybody.
 */
export function contactsOf(at: number, { users, contacts }: Crowd): readonly number[] {
  const stride = Math.floor(users / (contacts + 1));
  const steps = Array.from({ length: contacts / 2 }, (_, step) => (step + 1) * stride);
  return steps.flatMap((step) => [(at + step) % users, (at - step + users) % users]);
}

/** "u" users. */
export function* crowd(size: Crowd): Generator<PeerAccount> {
  for (let at = 0; at < size.users; at++) {
    yield { name: `u${at}`, contacts: contactsOf(at, size).map((contact) => `u${contact}`) };
  }
}

/** A "h" user and the "c" users who are its contacts; h0 has the first `sizes` of them, and so on. */
export function* audiences(sizes: readonly number[]): Generator<PeerAccount> {
  const range = (size: number) => Array.from({ length: size }, (_, at) => at);
  for (const [at, size] of sizes.entries()) {
    yield { name: `h${at}`, contacts: range(size).map((contact) => `c${contact}`) };
  }
  for (const contact of range(Math.max(...sizes))) {
    const hubs = range(sizes.length).filter((at) => contact < (sizes[at] as number));
    yield { name: `c${contact}`, contacts: hubs.map((at) => `h${at}`) };
  }
}
