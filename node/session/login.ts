/** Logging in on one stream, whichever profile of SASL it speaks: what is offered, and the attempts. */
import type { AuthContext, SaslCondition, Step } from "../auth/contract.ts";
import { certifiedUsers } from "../auth/external.ts";
import { HashedTokenExchange } from "../auth/hashed-token.ts";
import type { Offer } from "../auth/offer.ts";
import { NO_OFFER, offerFor } from "../auth/offer.ts";
import { SaslAttempt } from "../auth/sasl.ts";
import type { TokenMechanism } from "../auth/token-mechanisms.ts";
import { tokenMechanismsFor } from "../auth/token-mechanisms.ts";
import type { GivenToken } from "../auth/tokens.ts";
import { Unavailable } from "../base/errors.ts";
import { isLoopback } from "../guard/address.ts";
import type { Urgency } from "../guard/admission.ts";
import { Jid } from "../stanza/jid.ts";
import type { Credentials } from "../stores/contract.ts";
import type { ServerStream } from "../stream/stream.ts";
import type { Door } from "./door-context.ts";
import type { FastWish, Wishes } from "./sasl2.ts";

export class Login {
  readonly #door: Door;
  readonly #stream: ServerStream;
  #offer: Offer = NO_OFFER;
  /** Of the present channel; taken once, since each costs a tenth of a handshake. */
  #bindings: ReadonlyMap<string, Buffer> | undefined;
  #attempt: SaslAttempt | undefined;
  /** The running attempt's, when it is one with a token. */
  #token: HashedTokenExchange | undefined;
  /** Whose password the running attempt, or the last one, is about. */
  #account: string | undefined;
  #beganMs = 0;
  #failures = 0;

  constructor(door: Door, stream: ServerStream) {
    this.#door = door;
    this.#stream = stream;
  }

  /** Whether an attempt waits for the client's next message. */
  get isRunning(): boolean {
    return this.#attempt !== undefined;
  }

  get offer(): Offer {
    return this.#offer;
  }

  /** Whether a password or token may be sent over this stream. */
  get isAllowed(): boolean {
    const { isSecure, remoteAddress } = this.#stream;
    if (isSecure) return true;
    const { tls, plaintextAuthOnLoopback } = this.#door.config;
    return tls === "offered" && plaintextAuthOnLoopback && isLoopback(remoteAddress);
  }

  get isAnonymous(): boolean {
    return this.#door.anonymousDomains.has(this.#stream.domain);
  }

  /** Settles what this stream offers, for the user that its header claims. */
  prepare(): Promise<void> | undefined {
    this.forget();
    this.#offer = NO_OFFER;
    this.#bindings = undefined;
    if (!this.isAllowed) return undefined;
    const { decoys } = this.#door.auth;
    const claimed = this.#claimed();
    const isSettled = decoys.haveAllSha512 || this.isAnonymous || claimed === undefined;
    // Who may not log in for now is not looked up either.
    if (isSettled || !this.#door.failedLogins.mayLogIn(this.#stream.remoteAddress)) {
      this.#offer = this.#offerWith(decoys.haveAllSha512);
      return undefined;
    }
    return this.#prepareFor(claimed);
  }

  /** What a token can be had for here (XEP-0484, 6: never without TLS). */
  get tokenMechanisms(): readonly TokenMechanism[] {
    const isPossible = this.#door.tokens !== undefined && this.#stream.isSecure;
    return isPossible && !this.isAnonymous ? tokenMechanismsFor(this.#offer.channelBindings) : [];
  }

  /** How soon an attempt is to be served; see Admission. */
  urgencyOf(mechanism: string, { fast, resume }: Wishes): Urgency {
    if (mechanism === "PLAIN") return "password";
    if (fast === undefined) return "challenge";
    return resume === undefined ? "token" : "resumption";
  }

  /**
   * Begins an attempt.
   * @param initial the client's first message in base64, if it sent one
   */
  begin(mechanism: string, initial: string | undefined, wishes: Wishes): Promise<Step> | Step {
    const refusal = this.#refusal();
    if (refusal !== undefined) return { kind: "failure", condition: refusal };
    this.#beganMs = this.#door.clock.nowMs();
    this.#account = undefined;
    const { fast } = wishes;
    if (Number.isNaN(fast?.count)) return { kind: "failure", condition: "malformed-request" };
    const attempt =
      fast === undefined
        ? SaslAttempt.begin(mechanism, this.#context(mechanism))
        : this.#withToken(mechanism, wishes, fast);
    if (attempt === undefined) return { kind: "failure", condition: "invalid-mechanism" };
    this.#attempt = attempt;
    return initial === undefined ? attempt.start() : attempt.respond(initial);
  }

  /** Goes on with the running attempt. */
  respond(message: string): Promise<Step> | Step {
    const refusal = this.#refusal();
    if (refusal !== undefined) return { kind: "failure", condition: refusal };
    const running = this.#attempt;
    if (running === undefined) return { kind: "failure", condition: "malformed-request" };
    return running.respond(message);
  }

  succeeded(): void {
    const { stats, failedLogins } = this.#door;
    this.#attempt = undefined;
    const account = this.#account;
    if (account !== undefined) failedLogins.succeeded(this.#stream.remoteAddress, account);
    stats.loginsSucceeded += 1;
    if (this.#token?.proved !== undefined) stats.loginsByToken += 1;
  }

  /**
   * What becomes of the client's tokens; one for it to keep.
   * @throws Unavailable when a token that must not be used again still can be
   */
  async settleTokens(user: Jid, wishes: Wishes): Promise<GivenToken | undefined> {
    const { tokens, log, stats } = this.#door;
    const { userAgent, fast, tokenMechanism } = wishes;
    if (tokens === undefined || userAgent === undefined) return undefined;
    const mayHave = this.tokenMechanisms.find((name) => name === tokenMechanism);
    const settling = tokens.settle({
      user: user.bare,
      userAgent,
      beganMs: this.#beganMs,
      proved: this.#token?.proved,
      isInvalidating: fast?.isInvalidating ?? false,
      requested: mayHave,
    });
    try {
      const given = await settling;
      if (given !== undefined) stats.tokensGiven += 1;
      return given;
    } catch (error) {
      const isNeeded = fast?.isInvalidating || fast?.count !== undefined;
      if (isNeeded || !(error instanceof Unavailable)) throw error;
      log.warn({ code: error.code }, "tokens-not-settled"); // It has logged in all the same.
      return undefined;
    }
  }

  /** Counts a failure; true when the stream has had enough of them. */
  failed(condition: SaslCondition): boolean {
    const { failedLogins, stats, limits, log } = this.#door;
    const { remoteAddress } = this.#stream;
    this.forget();
    this.#failures += 1;
    stats.loginsFailed += 1;
    if (condition === "not-authorized") failedLogins.failed(remoteAddress, this.#account);
    log.debug({ address: remoteAddress, condition }, "login-failed");
    return this.#failures >= limits.failedLoginsPerStreamMax;
  }

  /** Ends the running attempt, if there is one. */
  forget(): void {
    this.#attempt = undefined;
    this.#token = undefined;
  }

  /** XEP-0484, 5: only a client that says who it is can have a token. */
  #withToken(name: string, { userAgent }: Wishes, fast: FastWish): SaslAttempt | undefined {
    const { tokens } = this.#door;
    const mechanism = this.tokenMechanisms.find((one) => one === name);
    if (tokens === undefined || mechanism === undefined || userAgent === undefined) {
      return undefined;
    }
    const { domain } = this.#stream;
    const context = { domain, channelBindings: this.#channelBindings() };
    const use = { mechanism, userAgent, count: fast.count };
    this.#token = new HashedTokenExchange(tokens, context, use);
    return SaslAttempt.with(this.#token);
  }

  #refusal(): SaslCondition | undefined {
    if (!this.isAllowed) return "encryption-required";
    const { failedLogins } = this.#door;
    if (failedLogins.mayLogIn(this.#stream.remoteAddress)) return undefined;
    failedLogins.counts.refused += 1;
    return "temporary-auth-failure";
  }

  #context(mechanism: string): AuthContext {
    const { transport, domain } = this.#stream;
    const { auth } = this.#door;
    const credentials = (user: string) => this.#credentialsToGuess(user);
    return {
      ...auth,
      accounts: mechanism === "EXTERNAL" ? auth.accounts : { credentials },
      domain,
      offer: this.#offer,
      channelBindings: this.#channelBindings(),
      certified: transport.certifiedAddresses(),
    };
  }

  /** @throws Unavailable: too many have failed to guess it; who is unknown is no exception */
  async #credentialsToGuess(user: string): Promise<Credentials | undefined> {
    const { failedLogins, auth } = this.#door;
    if (!failedLogins.mayTry(user, this.#stream.remoteAddress)) {
      failedLogins.counts.refused += 1;
      throw new Unavailable("auth-throttled", "Cannot check a password: too many were wrong");
    }
    this.#account = user;
    return auth.accounts.credentials(user);
  }

  #channelBindings(): ReadonlyMap<string, Buffer> {
    this.#bindings ??= this.#stream.transport.channelBindings();
    return this.#bindings;
  }

  /** RFC 6120, 4.7.1: who the client's header says it is; undefined when it can be nobody here. */
  #claimed(): string | undefined {
    const { peer, domain } = this.#stream;
    if (peer === undefined) return undefined;
    const jid = Jid.parse(peer);
    return jid.local !== "" && jid.domain === domain ? peer : undefined;
  }

  /** XEP-0388, 2.1: only what this user can use. Who is unknown has what a decoy has. */
  async #prepareFor(user: string): Promise<void> {
    const known = await this.#read(user);
    const { "SCRAM-SHA-512": keys } = known ?? this.#door.auth.decoys.of(user);
    this.#offer = this.#offerWith(keys !== undefined);
  }

  async #read(user: string): Promise<Credentials | undefined> {
    try {
      return await this.#door.auth.accounts.credentials(user);
    } catch (error) {
      if (error instanceof Unavailable) return undefined; // The attempt itself will say so.
      throw error;
    }
  }

  #offerWith(hasSha512: boolean): Offer {
    const { transport, domain } = this.#stream;
    return offerFor({
      isAnonymous: this.isAnonymous,
      isCertified: certifiedUsers(transport.certifiedAddresses(), domain).length > 0,
      hasSha512,
      allowed: this.#door.mechanisms,
      channelBindings: [...this.#channelBindings().keys()],
    });
  }
}
