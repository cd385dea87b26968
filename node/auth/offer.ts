/** Which mechanisms a stream offers, and the proof of it that SCRAM carries (XEP-0474). */
import type { HashName } from "./hashes.ts";
import { digest } from "./hashes.ts";

export type MechanismName =
  | "EXTERNAL"
  | "SCRAM-SHA-512-PLUS"
  | "SCRAM-SHA-512"
  | "SCRAM-SHA-256-PLUS"
  | "SCRAM-SHA-256"
  | "SCRAM-SHA-1-PLUS"
  | "SCRAM-SHA-1"
  | "PLAIN"
  | "ANONYMOUS";

const SCRAM = ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"] as const;

export type PasswordMechanism = (typeof SCRAM)[number] | "PLAIN";

export const PASSWORD_MECHANISMS: readonly PasswordMechanism[] = [...SCRAM, "PLAIN"];

/** What is announced before login. */
export interface Offer {
  /** The best first. */
  readonly mechanisms: readonly MechanismName[];
  /** Types of XEP-0440. */
  readonly channelBindings: readonly string[];
}

export const NO_OFFER: Offer = { mechanisms: [], channelBindings: [] };

/** What the offer depends on. */
export interface OfferGrounds {
  /** The domain is for guests and has no accounts (RFC 4505). */
  readonly isAnonymous: boolean;
  /** The client's certificate names an address of the domain. */
  readonly isCertified: boolean;
  /** Whoever is logging in has keys for it, or nobody can tell. */
  readonly hasSha512: boolean;
  readonly channelBindings: readonly string[];
  /** Those that a password may be used with. */
  readonly allowed: readonly PasswordMechanism[];
}

/** One for all who get the same: there are few kinds of grounds. */
const offers = new Map<string, Offer>();
const OFFERS_MAX = 100;

export function offerFor(grounds: OfferGrounds): Offer {
  const { isAnonymous, isCertified, hasSha512, channelBindings, allowed } = grounds;
  const key = `${isAnonymous} ${isCertified} ${hasSha512} ${channelBindings.join()} ${allowed.join()}`;
  let offer = offers.get(key);
  if (offer === undefined) {
    offer = makeOffer(grounds);
    if (offers.size >= OFFERS_MAX) offers.clear();
    offers.set(key, offer);
  }
  return offer;
}

function makeOffer(grounds: OfferGrounds): Offer {
  if (grounds.isAnonymous) return { mechanisms: ["ANONYMOUS"], channelBindings: [] };
  const { channelBindings, allowed, hasSha512 } = grounds;
  const scram = SCRAM.filter(
    (name) => allowed.includes(name) && (hasSha512 || name !== "SCRAM-SHA-512"),
  );
  const plus = channelBindings.length === 0 ? [] : scram.map((name) => `${name}-PLUS` as const);
  const external = grounds.isCertified ? (["EXTERNAL"] as const) : [];
  const plain = allowed.includes("PLAIN") ? (["PLAIN"] as const) : [];
  return { mechanisms: [...external, ...plus, ...scram, ...plain], channelBindings };
}

const BETWEEN = "\x1e";
const BEFORE_BINDINGS = "\x1f";

const offerHashes = new WeakMap<Offer, Partial<Record<HashName, string>>>();

/** XEP-0474, 5.1: what the client compares with what it was told, in base64. */
export function offerHash(hash: HashName, offer: Offer): string {
  const known = offerHashes.get(offer) ?? {};
  offerHashes.set(offer, known);
  known[hash] ??= hashOfOffer(hash, offer);
  return known[hash];
}

function hashOfOffer(hash: HashName, { mechanisms, channelBindings }: Offer): string {
  const sorted = (names: readonly string[]) => names.toSorted().join(BETWEEN);
  const bindings =
    channelBindings.length === 0 ? "" : `${BEFORE_BINDINGS}${sorted(channelBindings)}`;
  return digest(hash, sorted(mechanisms) + bindings).toString("base64");
}
