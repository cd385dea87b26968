/** XEP-0388, the other way XMPP carries SASL: reading the request, writing the answers. */
import type { SaslCondition } from "../auth/contract.ts";
import type { TokenMechanism } from "../auth/token-mechanisms.ts";
import { tokenMechanismNamed } from "../auth/token-mechanisms.ts";
import type { GivenToken } from "../auth/tokens.ts";
import type { Jid } from "../stanza/jid.ts";
import { NS_ACKS, NS_BIND2, NS_FAST, NS_SASL, NS_SASL2 } from "../stream/namespaces.ts";
import type { ParsedStanza } from "../xml/contract.ts";
import type { Element } from "../xml/element.ts";
import { child, children, localName, ns, text } from "../xml/names.ts";
import { escapeText } from "../xml/write.ts";
import type { ResumeRequest } from "./resume.ts";
import { readResume } from "./resume.ts";
import type { SaslProfile } from "./sasl-profiles.ts";

const start = (name: string): string => `<${name} xmlns='${NS_SASL2}'>`;

const base64 = (element: Element | undefined): string | undefined =>
  element === undefined ? undefined : text(element).trim();

export const SASL2: SaslProfile = {
  ns: NS_SASL2,
  start: "authenticate",
  initial: (request) => base64(child(request.element(), "initial-response", NS_SASL2)),
  challenge: (data) => Buffer.from(`${start("challenge")}${data.toString("base64")}</challenge>`),
  failure: (condition: SaslCondition) =>
    Buffer.from(`${start("failure")}<${condition} xmlns='${NS_SASL}'/></failure>`),
};

/** What a client wants besides logging in. */
export interface Wishes {
  /** What its software is called by, the same at every login and secret; undefined: it has none. */
  readonly userAgent: string | undefined;
  /** XEP-0386. */
  readonly bind: BindWish | undefined;
  /** XEP-0198: it goes on with a session; the request is undefined where it is not valid. */
  readonly resume: { readonly request: ResumeRequest | undefined } | undefined;
  /** XEP-0484: it logs in with a token. */
  readonly fast: FastWish | undefined;
  /** XEP-0484: it wants a token for this mechanism. */
  readonly tokenMechanism: TokenMechanism | undefined;
}

export interface FastWish {
  /** NaN: it is not valid. */
  readonly count: number | undefined;
  readonly isInvalidating: boolean;
}

export interface BindWish {
  /** What the resource is to begin with; "" for nothing. */
  readonly tag: string;
  readonly features: readonly Element[];
}

export const NO_WISHES: Wishes = {
  userAgent: undefined,
  bind: undefined,
  resume: undefined,
  fast: undefined,
  tokenMechanism: undefined,
};

/** XEP-0388, 2.4: a UUID. Anything else could be guessed, and counts as none. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Reads an `<authenticate/>`. */
export function wishesOf(request: ParsedStanza): Wishes {
  const element = request.element();
  const agent = child(element, "user-agent", NS_SASL2)?.attrs.id;
  const id = typeof agent === "string" ? agent.toLowerCase() : "";
  const bind = child(element, "bind", NS_BIND2);
  const resume = child(element, "resume", NS_ACKS);
  return {
    userAgent: UUID.test(id) ? id : undefined,
    bind: bind === undefined ? undefined : bindWishOf(bind),
    resume: resume === undefined ? undefined : { request: readResume(resume.attrs) },
    fast: fastWishOf(child(element, "fast", NS_FAST)),
    tokenMechanism: tokenMechanismNamed(
      String(child(element, "request-token", NS_FAST)?.attrs.mechanism),
    ),
  };
}

function fastWishOf(fast: Element | undefined): FastWish | undefined {
  if (fast === undefined) return undefined;
  const { count, invalidate } = fast.attrs;
  const isCount = /^[1-9]\d{0,14}$/.test(String(count));
  return {
    count: count === undefined ? undefined : isCount ? Number(count) : Number.NaN,
    isInvalidating: invalidate === "true" || invalidate === "1",
  };
}

function bindWishOf(bind: Element): BindWish {
  const tag = child(bind, "tag", NS_BIND2);
  return {
    tag: tag === undefined ? "" : text(tag),
    features: children(bind).filter((one) => ns(one) !== NS_BIND2 && localName(one) !== ""),
  };
}

/**
 * The end of an attempt that succeeded.
 * @param address bare, or full where a resource is bound
 * @param extensions what was done along with it, already XML
 */
export function success(address: string, data: Buffer | undefined, extensions: string): Buffer {
  const additional =
    data === undefined ? "" : `<additional-data>${data.toString("base64")}</additional-data>`;
  const identifier = `<authorization-identifier>${escapeText(address)}</authorization-identifier>`;
  return Buffer.from(`${start("success")}${additional}${identifier}${extensions}</success>`);
}

/** XEP-0484, 3.3. */
export function tokenElement(given: GivenToken | undefined): string {
  if (given === undefined) return "";
  const expiry = new Date(given.expiresMs).toISOString();
  return `<token xmlns='${NS_FAST}' expiry='${expiry}' token='${given.token}'/>`;
}

/** XEP-0388, 2.1: who claims an address in the header must not log in to another. */
export const isWhoItClaimed = (user: Jid, claimed: string | undefined): boolean =>
  claimed === undefined || !claimed.includes("@") || claimed === user.bare;
