/**
 * XEP-0484: tokens that a client logs in with in one step. Each client of a user, known by its
 * user-agent id, has at most one token in use and one that it has been given and not used yet.
 */
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { StoredToken, TokenChange, TokenSet, Tokens } from "../stores/contract.ts";
import { hmac } from "./hashes.ts";
import type { TokenMechanism } from "./token-mechanisms.ts";
import { tokenMechanismNamed } from "./token-mechanisms.ts";
import { answerIfRight, SEAL_SALT_BYTES, sealToken } from "./token-seal.ts";

export interface TokenKeeperOptions {
  readonly store: Tokens;
  readonly clock: Clock;
  readonly random: Random;
  /** Known to all nodes and to nobody else. */
  readonly secret: Buffer;
  readonly lifetimeMs: number;
  /** Clients of one user that may have tokens; beyond it the one with the oldest loses it. */
  readonly clientsMax: number;
}

/** What a client shows. */
export interface Presented {
  /** The prepared bare address. */
  readonly user: string;
  readonly userAgent: string;
  readonly mechanism: TokenMechanism;
  readonly hash: Buffer;
  /** Of the channel; of no length for a mechanism that binds to none. */
  readonly binding: Buffer;
  /** XEP-0484, 3.4: higher at each use. */
  readonly count: number | undefined;
}

/** A token that is right. */
export interface Proved {
  readonly kind: "proved";
  readonly answer: Buffer;
  readonly token: StoredToken;
  readonly set: TokenSet;
  readonly count: number | undefined;
}

export type Verdict = Proved | { readonly kind: "wrong" | "expired" };

/** What is to be done with a client's tokens after it has logged in, by whatever means. */
export interface TokenWishes {
  readonly user: string;
  readonly userAgent: string;
  /** Before anything was read that the login rests on. */
  readonly beganMs: number;
  /** The token it logged in with. */
  readonly proved: Proved | undefined;
  readonly isInvalidating: boolean;
  /** It asks for a token for this mechanism. */
  readonly requested: TokenMechanism | undefined;
}

export interface GivenToken {
  readonly token: string;
  readonly expiresMs: number;
}

const TOKEN_BYTES = 32;
/** XEP-0484, 3.5: a token in use is replaced by another at the first login after this. */
const ROTATE_AFTER_MS = 86_400_000;

export class TokenKeeper {
  readonly #options: TokenKeeperOptions;

  constructor(options: TokenKeeperOptions) {
    this.#options = options;
  }

  /** One partition read. @throws Unavailable */
  async check(presented: Presented): Promise<Verdict> {
    const { store, clock } = this.#options;
    const set = await store.list(presented.user);
    const client = this.#clientOf(presented);
    const own = set.tokens.filter(
      (one) => one.client === client && one.mechanism === presented.mechanism,
    );
    const { count } = presented;
    for (const token of own) {
      const answer = this.#answer(presented, token);
      if (answer === undefined) continue;
      if (token.expiresMs <= clock.nowMs()) return { kind: "expired" };
      if (count !== undefined && count <= token.count) return { kind: "wrong" }; // A repetition.
      return { kind: "proved", answer, token, set, count };
    }
    return { kind: "wrong" };
  }

  /**
   * Does what follows from a login. Answers the token to give to the client, if there is one.
   * @throws Unavailable: nothing is done
   */
  async settle(wishes: TokenWishes): Promise<GivenToken | undefined> {
    const { proved, requested, isInvalidating, user } = wishes;
    const isNeeded = requested !== undefined || proved !== undefined;
    if (!isNeeded) return undefined;
    const set = proved?.set ?? (await this.#options.store.list(user));
    const mechanism = requested ?? (isInvalidating ? undefined : this.#dueMechanism(proved));
    const given = mechanism === undefined ? undefined : this.#make(wishes, mechanism);
    const change = merged(
      this.#afterUse(wishes),
      given === undefined ? NOTHING : { remove: [], put: [given.stored] },
      given === undefined ? NOTHING : this.#makingRoom(set, given.stored.client),
    );
    if (change.remove.length + change.put.length > 0) {
      await this.#options.store.change(
        user,
        change,
        Math.max(wishes.beganMs * 1_000, set.latestUs),
      );
    }
    return given;
  }

  #clientOf({ user, userAgent }: { readonly user: string; readonly userAgent: string }): string {
    const name = JSON.stringify(["client", user, userAgent]);
    return hmac("sha256", this.#options.secret, name).toString("base64url");
  }

  #answer(presented: Presented, { expiresMs, sealed }: StoredToken): Buffer | undefined {
    const label = { ...presented, expiresMs };
    return answerIfRight(this.#options.secret, label, sealed, presented);
  }

  /** Section 5.1: a new token that is used takes the place of the one before. */
  #afterUse({ proved, isInvalidating }: TokenWishes): TokenChange {
    if (proved === undefined) return NOTHING;
    const { token, count = token.count } = proved;
    const { client } = token;
    const isNew = token.slot === "new";
    // Who logs out leaves nothing behind, nor a token that was given and never used.
    const remove = isInvalidating ? BOTH : isNew ? (["new"] as const) : [];
    const isKept = !isInvalidating && (isNew || count !== token.count);
    return {
      remove: remove.map((slot) => ({ client, slot })),
      put: isKept ? [{ ...token, slot: "current", count }] : [],
    };
  }

  #dueMechanism(proved: Proved | undefined): TokenMechanism | undefined {
    if (proved === undefined) return undefined;
    const { issuedMs, expiresMs, mechanism } = proved.token;
    const rotateAfterMs = Math.min(ROTATE_AFTER_MS, (expiresMs - issuedMs) / 2);
    const isDue = this.#options.clock.nowMs() >= issuedMs + rotateAfterMs;
    return isDue ? tokenMechanismNamed(mechanism) : undefined;
  }

  #make(wishes: TokenWishes, mechanism: TokenMechanism): GivenToken & { stored: StoredToken } {
    const { random, clock, lifetimeMs, secret } = this.#options;
    const token = random.bytes(TOKEN_BYTES).toString("base64url");
    const issuedMs = clock.nowMs();
    const expiresMs = issuedMs + lifetimeMs;
    const label = { ...wishes, mechanism, expiresMs };
    const sealed = sealToken(secret, label, token, random.bytes(SEAL_SALT_BYTES));
    const client = this.#clientOf(wishes);
    const stored = {
      client,
      mechanism,
      issuedMs,
      expiresMs,
      sealed,
      slot: "new",
      count: 0,
    } as const;
    return { token, expiresMs, stored };
  }

  /** Removes the tokens of the clients whose last one is the oldest. */
  #makingRoom({ tokens }: TokenSet, newcomer: string): TokenChange {
    const issuedMs = new Map<string, number>();
    for (const { client, issuedMs: at } of tokens) {
      if (client !== newcomer) issuedMs.set(client, Math.max(at, issuedMs.get(client) ?? 0));
    }
    const byAge = [...issuedMs].toSorted(([, one], [, other]) => one - other);
    const tooMany = byAge.slice(0, Math.max(0, byAge.length + 1 - this.#options.clientsMax));
    const remove = tooMany.flatMap(([client]) => BOTH.map((slot) => ({ client, slot })));
    return { remove, put: [] };
  }
}

const BOTH = ["new", "current"] as const;
const NOTHING: TokenChange = { remove: [], put: [] };

const merged = (...changes: readonly TokenChange[]): TokenChange => ({
  remove: changes.flatMap(({ remove }) => remove),
  put: changes.flatMap(({ put }) => put),
});
