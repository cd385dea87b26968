/** From the first header to a bound session: STARTTLS, SASL, bind (RFC 6120, sections 5 to 7). */

import type { SaslCondition, Step } from "../auth/contract.ts";
import { mechanismsFor, SaslAttempt } from "../auth/sasl.ts";
import { CHANNEL_BINDING } from "../auth/scram.ts";
import { isLoopback } from "../guard/address.ts";
import type { Jid } from "../stanza/jid.ts";
import type { StreamOwner } from "../stream/contract.ts";
import { boundFeatures, entryFeatures } from "../stream/features.ts";
import { NS_ACKS, NS_BIND, NS_CLIENT, NS_SASL, NS_TLS } from "../stream/namespaces.ts";
import type { ServerStream } from "../stream/stream.ts";
import type { ParsedStanza } from "../xml/contract.ts";
import { text as textOf } from "../xml/names.ts";
import { bindResource } from "./bind.ts";
import type { Door } from "./door-context.ts";
import { answerRegistration, isRegistration } from "./register.ts";
import { iqError, isRequest } from "./replies.ts";
import { acksFailed } from "./session.ts";

const PROCEED = Buffer.from(`<proceed xmlns='${NS_TLS}'/>`);
const TLS_FAILURE = Buffer.from(`<failure xmlns='${NS_TLS}'/>`);

const saslFailure = (condition: SaslCondition): Buffer =>
  Buffer.from(`<failure xmlns='${NS_SASL}'><${condition}/></failure>`);

const saslElement = (name: string, data: Buffer | undefined): Buffer => {
  if (data === undefined) return Buffer.from(`<${name} xmlns='${NS_SASL}'/>`);
  // RFC 6120, 6.4.2: "=" stands for data of no length; a challenge may simply be empty.
  return Buffer.from(`<${name} xmlns='${NS_SASL}'>${data.toString("base64")}</${name}>`);
};

export class Negotiation implements StreamOwner {
  readonly #door: Door;
  readonly #onDone: (negotiation: Negotiation) => void;
  #stream: ServerStream | undefined;
  /** Set by a login that succeeded. */
  #user: Jid | undefined;
  #attempt: SaslAttempt | undefined;
  #failures = 0;
  /** A step is waiting for a store or for the routes. */
  #isBusy = false;
  /** Read behind the stanza that the step is about. */
  #queue: ParsedStanza[] = [];

  /** @param onDone called once: the stream is bound, or over */
  constructor(door: Door, onDone: (negotiation: Negotiation) => void) {
    this.#door = door;
    this.#onDone = onDone;
  }

  /** Ends the stream that is negotiated, with a condition of RFC 6120, 4.9.3. */
  close(condition: string): void {
    this.#stream?.close({ condition });
  }

  /** The stream this is about; set before anything is read from it. */
  set stream(stream: ServerStream) {
    this.#stream = stream;
  }

  onOpen(stream: ServerStream): void {
    if (this.#door.isDraining) {
      stream.close({ condition: "system-shutdown" });
      return;
    }
    if (this.#user === undefined) {
      stream.write(this.#entryFeatures(stream));
      return;
    }
    // A new header must not lead to another domain than the one logged in to.
    if (stream.domain !== this.#user.domain) {
      stream.close({ condition: "host-unknown" });
      return;
    }
    stream.write(boundFeatures(this.#door.announced));
  }

  onStanza(stream: ServerStream, stanza: ParsedStanza): void {
    if (!stream.isOpen) return;
    if (!this.#isBusy) {
      this.#handle(stream, stanza);
      return;
    }
    if (this.#queue.length >= this.#door.limits.queuedStanzasMax) {
      stream.close({ condition: "policy-violation" });
      return;
    }
    this.#queue.push(stanza);
  }

  onDrained(): void {}

  onOver(): void {
    this.#queue = [];
    this.#onDone(this);
  }

  #mayLogIn(stream: ServerStream): boolean {
    if (stream.isSecure) return true;
    const { tls, plaintextAuthOnLoopback } = this.#door.config;
    return tls === "offered" && plaintextAuthOnLoopback && isLoopback(stream.remoteAddress);
  }

  #entryFeatures(stream: ServerStream): Buffer {
    const mayLogIn = this.#mayLogIn(stream);
    const hasBinding = stream.channelBinding !== undefined;
    const canSecure = !stream.isSecure && this.#door.hasTls;
    return entryFeatures({
      startTls: canSecure ? (mayLogIn ? "optional" : "required") : undefined,
      mechanisms: mayLogIn ? mechanismsFor(hasBinding) : [],
      channelBindings: mayLogIn && hasBinding ? [CHANNEL_BINDING] : [],
      registration: this.#door.registration?.enabled ?? false,
    });
  }

  #handle(stream: ServerStream, stanza: ParsedStanza): void {
    const { ns, name } = stanza;
    if (ns === NS_TLS && name === "starttls") {
      this.#startTls(stream);
      return;
    }
    if (ns === NS_SASL && this.#user === undefined) {
      this.#sasl(stream, stanza);
      return;
    }
    if (ns === NS_ACKS && (name === "resume" || name === "enable")) {
      // XEP-0198, 3 and 5: nothing to resume here, and nothing to count before bind.
      const condition = name === "resume" ? "item-not-found" : "unexpected-request";
      stream.write(acksFailed(this.#user === undefined ? "unexpected-request" : condition));
      return;
    }
    const isStanza = name === "message" || name === "presence" || name === "iq";
    if (!isStanza || ns !== NS_CLIENT) {
      stream.close({ condition: "unsupported-stanza-type" });
      return;
    }
    this.#early(stream, stanza);
  }

  /** RFC 6120, 4.9.3.12: before bind, only what leads there, and making an account, is for you. */
  #early(stream: ServerStream, stanza: ParsedStanza): void {
    const user = this.#user;
    const { registration } = this.#door;
    if (user !== undefined && isRequest(stanza, "set", NS_BIND, "bind")) {
      this.#step(stream, () => this.#bind(stream, user, stanza));
      return;
    }
    if (user === undefined && registration?.enabled && isRegistration(stanza)) {
      if (!this.#mayLogIn(stream)) {
        // No password over a wire that others can read.
        stream.write(iqError(stanza, "auth", "not-allowed"));
        return;
      }
      this.#step(stream, async () => {
        const { domain, remoteAddress } = stream;
        stream.write(await answerRegistration(registration, stanza, domain, remoteAddress));
      });
      return;
    }
    stream.close({ condition: "not-authorized" });
  }

  /** 5.4.2.2: where it was not offered the answer is a failure and the end. */
  #startTls(stream: ServerStream): void {
    if (stream.isSecure || !this.#door.hasTls || this.#user !== undefined) {
      stream.write(TLS_FAILURE);
      stream.close();
      return;
    }
    this.#attempt = undefined;
    this.#queue = []; // Sent without protection: it must not be taken for what comes after.
    stream.write(PROCEED);
    stream.startTls();
  }

  #sasl(stream: ServerStream, stanza: ParsedStanza): void {
    const { name } = stanza;
    if (name === "abort") {
      this.#refuse(stream, "aborted");
      return;
    }
    if (name !== "auth" && name !== "response") {
      stream.close({ condition: "unsupported-stanza-type" });
      return;
    }
    if (!this.#mayLogIn(stream)) {
      this.#refuse(stream, "encryption-required");
      return;
    }
    if (!this.#door.guard.mayLogIn(stream.remoteAddress)) {
      this.#refuse(stream, "temporary-auth-failure");
      return;
    }
    const running = this.#attempt;
    // Neither a second start nor an answer to nothing.
    if ((name === "auth") !== (running === undefined)) {
      this.#refuse(stream, "malformed-request");
      return;
    }
    const text = textOf(stanza.element());
    if (running !== undefined) {
      this.#step(stream, async () => this.#answer(stream, await running.respond(text)));
      return;
    }
    const attempt = SaslAttempt.begin(stanza.attributes.mechanism ?? "", {
      ...this.#door.auth,
      domain: stream.domain,
      channelBinding: stream.channelBinding,
    });
    if (attempt === undefined) {
      this.#refuse(stream, "invalid-mechanism");
      return;
    }
    this.#attempt = attempt;
    this.#step(stream, async () => this.#answer(stream, await attempt.initial(text)));
  }

  #answer(stream: ServerStream, step: Step): void {
    if (!stream.isOpen) return;
    switch (step.kind) {
      case "challenge":
        stream.write(saslElement("challenge", step.data));
        return;
      case "failure":
        this.#refuse(stream, step.condition);
        return;
      case "success":
        this.#succeed(stream, step.user, step.data);
        return;
      default:
        step satisfies never;
        return;
    }
  }

  #succeed(stream: ServerStream, user: Jid, data: Buffer | undefined): void {
    // Said before it could know of the success: an abort, or an attempt to confuse.
    if (this.#queue.length > 0) {
      stream.close({ condition: "policy-violation" });
      return;
    }
    this.#attempt = undefined;
    this.#user = user;
    this.#door.stats.loginsSucceeded += 1;
    stream.write(saslElement("success", data));
    stream.authenticated();
  }

  #refuse(stream: ServerStream, condition: SaslCondition): void {
    const { guard, stats, limits, log } = this.#door;
    this.#attempt = undefined;
    this.#failures += 1;
    stats.loginsFailed += 1;
    if (condition === "not-authorized") guard.loginFailed(stream.remoteAddress);
    log.debug({ address: stream.remoteAddress, condition }, "login-failed");
    stream.write(saslFailure(condition));
    if (this.#failures >= limits.failedLoginsPerStreamMax) {
      stream.close({ condition: "policy-violation", text: "Too many failed logins" });
    }
  }

  async #bind(stream: ServerStream, user: Jid, stanza: ParsedStanza): Promise<void> {
    const outcome = await bindResource(this.#door, stream, user, stanza);
    if (outcome.kind === "refused") stream.write(outcome.reply);
    if (outcome.kind === "gone") stream.close({ condition: outcome.condition });
    if (outcome.kind !== "bound") return;
    const { session } = outcome;
    const early = this.#queue;
    this.#queue = [];
    this.#onDone(this);
    for (const queued of early) session.onStanza(stream, queued);
  }

  /** Does a step that takes time. Nothing is read, and nothing read is handled, before its end. */
  #step(stream: ServerStream, work: () => Promise<void>): void {
    this.#isBusy = true;
    stream.pause();
    work()
      .then(() => this.#goOn(stream))
      .catch((error: unknown) => {
        this.#door.log.error({ err: error }, "negotiation-failed");
        stream.close({ condition: "internal-server-error" });
      });
  }

  #goOn(stream: ServerStream): void {
    this.#isBusy = false;
    while (!this.#isBusy && stream.isOpen) {
      const next = this.#queue.shift();
      if (next === undefined) break;
      this.#handle(stream, next);
    }
    if (!this.#isBusy) stream.resume();
  }
}
