/** What a stream offers at each stage (RFC 6120, 4.3.2). */
import {
  NS_ACKS,
  NS_BIND,
  NS_BIND2,
  NS_FAST,
  NS_SASL,
  NS_SASL2,
  NS_SESSION,
  NS_TLS,
} from "./namespaces.ts";

export interface EntryFeatures {
  /** Undefined where TLS is on already or cannot be had. */
  readonly startTls: "required" | "optional" | undefined;
  /** Empty where nobody may log in yet. */
  readonly mechanisms: readonly string[];
  readonly channelBindings: readonly string[];
  readonly registration: boolean;
  /** Of what is read before login. */
  readonly stanzaBytesMax: number;
  /** Until then there has to be a session. */
  readonly idleSeconds: number;
  /** Namespaces of what XEP-0386 can enable; undefined where XEP-0388 is not spoken. */
  readonly inline: readonly string[] | undefined;
  /** Mechanisms of XEP-0484 that a token can be had for; empty for none. */
  readonly tokenMechanisms: readonly string[];
  /** Whether a session can be resumed along with the login (XEP-0198). */
  readonly canResume: boolean;
}

const ACKS = `<sm xmlns='${NS_ACKS}'/>`;

/** XEP-0478: what is too large for a stream at this point, and after how long silence may end it. */
export const streamLimits = (bytesMax: number, idleSeconds: number): string =>
  `<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>${bytesMax}</max-bytes>` +
  `<idle-seconds>${idleSeconds}</idle-seconds></limits>`;

const wrap = (content: string): Buffer =>
  Buffer.from(`<stream:features>${content}</stream:features>`);

/** What is said before login, once for all who are offered the same. */
export class EntryFeaturesSaid {
  readonly #said = new WeakMap<object, Map<string, Buffer>>();

  /** @param besides whatever else it depends on, of a few values */
  of(offer: object, besides: string, make: () => Buffer): Buffer {
    const said = this.#said.get(offer) ?? new Map<string, Buffer>();
    this.#said.set(offer, said);
    const known = said.get(besides) ?? make();
    said.set(besides, known);
    return known;
  }
}

/** Before login. */
export function entryFeatures(offer: EntryFeatures): Buffer {
  const required = offer.startTls === "required" ? "<required/>" : "";
  const startTls =
    offer.startTls === undefined ? "" : `<starttls xmlns='${NS_TLS}'>${required}</starttls>`;
  const limits = streamLimits(offer.stanzaBytesMax, offer.idleSeconds);
  if (offer.mechanisms.length === 0) return wrap(`${startTls}${limits}`);
  const mechanisms = listed(offer.mechanisms);
  const bindings = offer.channelBindings.map((type) => `<channel-binding type='${type}'/>`);
  // XEP-0440: which types -PLUS can be used with.
  const binding =
    bindings.length === 0
      ? ""
      : `<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>${bindings.join("")}</sasl-channel-binding>`;
  const register = offer.registration
    ? "<register xmlns='http://jabber.org/features/iq-register'/>"
    : "";
  const sasl = `<mechanisms xmlns='${NS_SASL}'>${mechanisms}</mechanisms>`;
  const sasl2 = offer.inline === undefined ? "" : authentication(offer, offer.inline);
  return wrap(`${startTls}${sasl}${sasl2}${binding}${register}${limits}`);
}

const listed = (mechanisms: readonly string[]): string =>
  mechanisms.map((name) => `<mechanism>${name}</mechanism>`).join("");

/** XEP-0388, 2.1, and what can be done along with it. */
function authentication(
  { mechanisms, tokenMechanisms, canResume }: EntryFeatures,
  inline: readonly string[],
): string {
  const features = inline.map((ns) => `<feature var='${ns}'/>`).join("");
  const bind = `<bind xmlns='${NS_BIND2}'><inline>${features}</inline></bind>`;
  const fast =
    tokenMechanisms.length === 0
      ? ""
      : `<fast xmlns='${NS_FAST}'>${listed(tokenMechanisms)}</fast>`;
  return (
    `<authentication xmlns='${NS_SASL2}'>${listed(mechanisms)}` +
    `<inline>${bind}${canResume ? ACKS : ""}${fast}</inline></authentication>`
  );
}

/** What RFC 6121 wants announced (2.6.1 and 3.4.1). */
const ROSTER =
  "<ver xmlns='urn:xmpp:features:rosterver'/><sub xmlns='urn:xmpp:features:pre-approval'/>";

/** After login: what is negotiated, and what others announce. */
export const boundFeatures = (announced: string): Buffer =>
  wrap(
    `<bind xmlns='${NS_BIND}'/><session xmlns='${NS_SESSION}'><optional/></session>` +
      ACKS +
      ROSTER +
      announced,
  );

/** Where login and bind were one (XEP-0386): what is left to negotiate. */
export const sessionFeatures = (announced: string, hasAcks: boolean): Buffer =>
  wrap((hasAcks ? "" : ACKS) + ROSTER + announced);
