/** From the first header to a bound session: STARTTLS, SASL, bind (RFC 6120, sections 5 to 7). */

import type { SaslCondition, Step } from "../auth/contract.ts";
import type { Done } from "../base/done.ts";
import type { Urgency } from "../guard/admission.ts";
import type { Jid } from "../stanza/jid.ts";
import type { StreamOwner } from "../stream/contract.ts";
import { entryFeatures } from "../stream/features.ts";
import { NS_ACKS, NS_BIND, NS_CLIENT, NS_TLS } from "../stream/namespaces.ts";
import type { ServerStream } from "../stream/stream.ts";
import type { ParsedStanza } from "../xml/contract.ts";
import { text as textOf } from "../xml/names.ts";
import { finishAtOnce } from "./at-once.ts";
import { addressFor, bindResource, bindResult, wishedResource } from "./bind.ts";
import { inlineNamespaces } from "./bind2.ts";
import type { Door } from "./door-context.ts";
import { Login } from "./login.ts";
import { acksFailed } from "./nonzas.ts";
import { answerRegistration, isRegistration } from "./register.ts";
import { iqError, isRequest } from "./replies.ts";
import { readResume, resumeSession } from "./resume.ts";
import type { SaslProfile } from "./sasl-profiles.ts";
import { SASL, saslSuccess } from "./sasl-profiles.ts";
import type { Wishes } from "./sasl2.ts";
import { isWhoItClaimed, NO_WISHES, SASL2, wishesOf } from "./sasl2.ts";
import type { Session } from "./session.ts";

const PROCEED = Buffer.from(`<proceed xmlns='${NS_TLS}'/>`);
const TLS_FAILURE = Buffer.from(`<failure xmlns='${NS_TLS}'/>`);

export class Negotiation implements StreamOwner {
  readonly #door: Door;
  readonly #onDone: (negotiation: Negotiation) => void;
  #stream: ServerStream | undefined;
  #login: Login | undefined;
  /** Of the attempt that is running. */
  #profile: SaslProfile = SASL;
  #wishes: Wishes = NO_WISHES;
  /** Set by a login that succeeded. */
  #user: Jid | undefined;
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

  /** The domain that its last header asked for. */
  get domain(): string | undefined {
    return this.#stream?.domain;
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
      this.#welcome(stream);
      return;
    }
    // A new header must not lead to another domain than the one logged in to.
    if (stream.domain !== this.#user.domain) {
      stream.close({ condition: "host-unknown" });
      return;
    }
    stream.write(this.#door.boundFeatures);
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

  /** 4.3.2: says what may be negotiated, which can depend on who is coming. */
  #welcome(stream: ServerStream): void {
    const login = this.#loginOf(stream);
    const preparing = login.prepare();
    const welcome = () => void stream.write(this.#entryFeatures(stream, login));
    this.#step(stream, () => (preparing === undefined ? welcome() : preparing.then(welcome)));
  }

  #loginOf(stream: ServerStream): Login {
    this.#login ??= new Login(this.#door, stream);
    return this.#login;
  }

  #entryFeatures(stream: ServerStream, login: Login): Buffer {
    const { offer, tokenMechanisms } = login;
    const registration = (this.#door.registration?.enabled ?? false) && !login.isAnonymous;
    const startTls = stream.canStartTls ? (login.isAllowed ? "optional" : "required") : undefined;
    const canResume = this.#door.config.resumeSeconds > 0;
    const besides = `${startTls} ${registration} ${tokenMechanisms} ${canResume}`;
    const make = () =>
      entryFeatures({
        ...{ startTls, ...offer, registration, tokenMechanisms, canResume },
        inline: inlineNamespaces(this.#door),
        stanzaBytesMax: this.#door.limits.unauthenticatedStanzaBytesMax,
        idleSeconds: this.#door.config.negotiationSeconds,
      });
    return this.#door.entryFeatures.of(offer, besides, make);
  }

  #handle(stream: ServerStream, stanza: ParsedStanza): void {
    const { ns, name } = stanza;
    if (ns === NS_TLS && name === "starttls") {
      this.#startTls(stream);
      return;
    }
    const profile = ns === SASL.ns ? SASL : ns === SASL2.ns ? SASL2 : undefined;
    if (profile !== undefined && this.#user === undefined) {
      this.#sasl(stream, stanza, profile);
      return;
    }
    if (ns === NS_ACKS && (name === "resume" || name === "enable")) {
      const user = this.#user;
      // XEP-0198, 3 and 5: nobody resumes before logging in, or counts before binding.
      if (user === undefined || name === "enable") stream.write(acksFailed("unexpected-request"));
      else {
        this.#stepInTurn(stream, "resumption", {
          work: () => this.#resume(stream, user, stanza),
          // Not <failed/>: it would bind, and send everything again.
          shed: () => stream.close({ condition: "resource-constraint" }),
        });
      }
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
      this.#stepInTurn(stream, "answer", {
        work: () => this.#bind(stream, user, stanza),
        shed: () => void stream.write(iqError(stanza, "wait", "resource-constraint")),
      });
      return;
    }
    const login = this.#loginOf(stream);
    const mayRegister = user === undefined && registration?.enabled && !login.isAnonymous;
    if (mayRegister && isRegistration(stanza)) {
      if (!login.isAllowed) {
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
    if (!stream.canStartTls || this.#user !== undefined) {
      stream.write(TLS_FAILURE);
      stream.close();
      return;
    }
    this.#login?.forget();
    this.#queue = []; // Sent without protection: it must not be taken for what comes after.
    stream.write(PROCEED);
    stream.startTls();
  }

  #sasl(stream: ServerStream, stanza: ParsedStanza, profile: SaslProfile): void {
    const { name, attributes } = stanza;
    const login = this.#loginOf(stream);
    if (name === "abort") {
      this.#refuse(stream, profile, "aborted");
      return;
    }
    if (name !== profile.start && name !== "response") {
      stream.close({ condition: "unsupported-stanza-type" });
      return;
    }
    // Neither a second start nor an answer to nothing, nor in the words of the other profile.
    const isStart = name === profile.start;
    if (isStart === login.isRunning || (!isStart && profile !== this.#profile)) {
      this.#refuse(stream, profile, "malformed-request");
      return;
    }
    if (isStart) {
      this.#profile = profile;
      this.#wishes = profile === SASL2 ? wishesOf(stanza) : NO_WISHES;
    }
    const { mechanism = "" } = attributes;
    const urgency = isStart ? login.urgencyOf(mechanism, this.#wishes) : "answer";
    this.#stepInTurn(stream, urgency, {
      work: () => {
        const step = isStart
          ? login.begin(mechanism, profile.initial(stanza), this.#wishes)
          : login.respond(textOf(stanza.element()));
        if (!(step instanceof Promise)) return this.#answer(stream, profile, step);
        return step.then((late) => this.#answer(stream, profile, late));
      },
      // Not one of the failures that end a stream: it did nothing wrong.
      shed: () => {
        login.forget();
        stream.write(profile.failure("temporary-auth-failure"));
      },
    });
  }

  #answer(stream: ServerStream, profile: SaslProfile, step: Step): Done {
    if (!stream.isOpen) return;
    switch (step.kind) {
      case "challenge":
        stream.write(profile.challenge(step.data));
        return;
      case "failure":
        this.#refuse(stream, profile, step.condition);
        return;
      case "success":
        if (profile !== SASL) return this.#succeedAtOnce(stream, step.user, step.data);
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
    this.#user = user;
    this.#loginOf(stream).succeeded();
    stream.write(saslSuccess(data));
    stream.authenticated();
    stream.restart();
  }

  /** XEP-0388: no new header, and what was asked for along with the login is done. */
  async #succeedAtOnce(stream: ServerStream, user: Jid, data: Buffer | undefined): Promise<void> {
    const login = this.#loginOf(stream);
    if (!login.isAnonymous && !isWhoItClaimed(user, stream.peer)) {
      this.#refuse(stream, SASL2, "invalid-authzid");
      return;
    }
    login.succeeded();
    const wishes = this.#wishes;
    const outcome = await finishAtOnce(this.#door, stream, login, { user, data, wishes });
    switch (outcome.kind) {
      case "session":
        this.#handOver(stream, outcome.session);
        return;
      case "unbound":
        this.#user = user;
        return;
      case "refused":
        this.#refuse(stream, SASL2, "temporary-auth-failure");
        return;
      case "gone":
        stream.close({ condition: outcome.condition });
        return;
      case "closed":
        return;
      default:
        outcome satisfies never;
        return;
    }
  }

  #refuse(stream: ServerStream, profile: SaslProfile, condition: SaslCondition): void {
    const isEnough = this.#loginOf(stream).failed(condition);
    stream.write(profile.failure(condition));
    if (isEnough) {
      stream.close({ condition: "policy-violation", text: "Too many failed logins" });
    }
  }

  async #bind(stream: ServerStream, user: Jid, stanza: ParsedStanza): Promise<void> {
    const address = addressFor(user, wishedResource(stanza), this.#door);
    const outcome = await bindResource(this.#door, stream, address, bindResult(stanza));
    if (outcome.kind === "refused") {
      const type = outcome.condition === "bad-request" ? "modify" : "wait";
      stream.write(iqError(stanza, type, outcome.condition));
    }
    if (outcome.kind === "gone") stream.close({ condition: outcome.condition });
    if (outcome.kind === "bound") this.#handOver(stream, outcome.session);
  }

  async #resume(stream: ServerStream, user: Jid, { attributes }: ParsedStanza): Promise<void> {
    const outcome = await resumeSession(this.#door, stream, user, readResume(attributes));
    if (outcome.kind === "closed") return;
    stream.write(outcome.element);
    if (outcome.kind !== "resumed") return;
    outcome.begin();
    this.#handOver(stream, outcome.session);
  }

  /** The stream is the session's now, with what was read already. */
  #handOver(stream: ServerStream, session: Session): void {
    const early = this.#queue;
    this.#queue = [];
    this.#onDone(this);
    for (const queued of early) session.onStanza(stream, queued);
  }

  /** Does a step. If it takes time, nothing is read, and nothing read is handled, before its end. */
  #step(stream: ServerStream, work: () => Done): void {
    try {
      const done = work();
      if (done === undefined) return;
      this.#isBusy = true;
      stream.pause();
      done.then(() => this.#goOn(stream)).catch((error: unknown) => this.#fault(stream, error));
    } catch (error) {
      this.#fault(stream, error);
    }
  }

  #fault(stream: ServerStream, error: unknown): void {
    this.#door.log.error({ err: error }, "negotiation-failed");
    stream.close({ condition: "internal-server-error" });
  }

  /** A step of a login, which may have to wait for its turn or be turned away. */
  #stepInTurn(
    stream: ServerStream,
    urgency: Urgency,
    { work, shed }: { readonly work: () => Done; readonly shed: () => void },
  ): void {
    const ifOpen = () => (stream.isOpen ? work() : undefined);
    this.#step(stream, () => this.#door.admission.run(urgency, ifOpen, shed));
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
