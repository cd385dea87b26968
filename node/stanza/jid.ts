/** Addresses (RFC 7622): prepared once, immutable, compared as strings. */
import { LRUCache } from "lru-cache";
import { detach } from "../xml/intern.ts";
import { prepareDomain } from "./domain.ts";
import { enforceOpaque, enforceUsername } from "./precis.ts";

/** RFC 7622, 3: each part is at most 1,023 bytes, so an address is at most 3,071. */
const PART_BYTES_MAX = 1_023;
const ADDRESS_LENGTH_MAX = 3 * PART_BYTES_MAX + 2;
/**
 * Addresses that are remembered. Only what is slow to prepare: in plain ASCII preparing again costs
 * less than keeping a cache that every other sender evicts from.
 */
const CACHE_ENTRIES = 10_000;
const CACHED_LENGTH_MAX = 256;
const IS_SLOW = /[^ -~]|xn--/i;

const PLAIN_LOCAL = /^[!#-%(-.0-9;=?A-Z[-~]+$/;
const HAS_UPPER = /[A-Z]/;
const PLAIN_RESOURCE = /^[ -~]+$/;
/** RFC 7622, 3.3.1. */
const LOCAL_EXCLUDED = /["&'/:<>@]/;

/** The text is not an address. */
export class JidError extends Error {
  override readonly name = "JidError";
  /** Also the stanza error condition to answer with (RFC 6120, 8.3.3.8). */
  readonly code = "jid-malformed";
  readonly reason: string;

  /** @param reason completes "Cannot read address: …"; never contains the address */
  constructor(reason: string) {
    super(`Cannot read address: ${reason}`);
    this.reason = reason;
  }
}

const cache = new LRUCache<string, Jid>({ max: CACHE_ENTRIES });

/** An address whose parts are prepared: equal addresses have equal strings. */
export class Jid {
  /** "" when absent. */
  readonly local: string;
  readonly domain: string;
  /** "" when absent. */
  readonly resource: string;
  /** Without the resource. */
  readonly bare: string;
  /** With the resource when there is one; then not equal to `bare`. */
  readonly full: string;

  /** @param bare where there is such a string already: each new one must be hashed as a key */
  private constructor(local: string, domain: string, resource: string, bare?: string) {
    this.local = local;
    this.domain = domain;
    this.resource = resource;
    this.bare = bare ?? (local === "" ? domain : `${local}@${domain}`);
    this.full = resource === "" ? this.bare : `${this.bare}/${resource}`;
  }

  /**
   * Prepares an address that somebody wrote.
   * @throws JidError
   */
  static parse(text: string): Jid {
    if (text.length > ADDRESS_LENGTH_MAX) throw new JidError("it is too long");
    if (text.length > CACHED_LENGTH_MAX || !IS_SLOW.test(text)) return Jid.#prepare(text);
    const known = cache.get(text);
    if (known !== undefined) return known;
    const jid = Jid.#prepare(text);
    cache.set(detach(text), jid);
    return jid;
  }

  /** The same; undefined for nothing, and for what is no address. */
  static parseOrNone(text: string | undefined): Jid | undefined {
    try {
      return text === undefined ? undefined : Jid.parse(text);
    } catch (error) {
      if (error instanceof JidError) return undefined;
      throw error;
    }
  }

  static #prepare(text: string): Jid {
    const parts = split(text);
    return new Jid(
      parts.local === undefined ? "" : prepareLocal(parts.local),
      preparedDomain(parts.domain),
      parts.resource === undefined ? "" : prepareResource(parts.resource),
    );
  }

  /**
   * Prepares the parts of an address, "" for those that are absent.
   * @throws JidError
   */
  static from(local: string, domain: string, resource = ""): Jid {
    return new Jid(
      local === "" ? "" : prepareLocal(local),
      preparedDomain(domain),
      resource === "" ? "" : prepareResource(resource),
    );
  }

  /**
   * Reads what `full` or `bare` of a Jid gave, on this node or another, without preparing it again:
   * nodes of two versions may know different versions of Unicode.
   * @throws JidError when it has not even the shape of an address
   */
  static prepared(text: string): Jid {
    const { local = "", domain, resource = "" } = split(text);
    if (domain === "") throw new JidError("it has no domain");
    for (const part of [local, domain, resource]) checkLength(part);
    return new Jid(local, domain, resource);
  }

  get isBare(): boolean {
    return this.resource === "";
  }

  toBare(): Jid {
    return this.isBare ? this : new Jid(this.local, this.domain, "", this.bare);
  }

  /**
   * The same bare address with a resource, which is prepared.
   * @throws JidError
   */
  withResource(resource: string): Jid {
    return new Jid(this.local, this.domain, prepareResource(resource), this.bare);
  }

  equals(other: Jid): boolean {
    return this.full === other.full;
  }

  toString(): string {
    return this.full;
  }
}

interface Parts {
  readonly local: string | undefined;
  readonly domain: string;
  readonly resource: string | undefined;
}

/** RFC 7622, 3.1: first the resource is cut off, at the first "/", then the localpart. */
function split(text: string): Parts {
  const slash = text.indexOf("/");
  const resource = slash === -1 ? undefined : text.slice(slash + 1);
  const bare = slash === -1 ? text : text.slice(0, slash);
  const at = bare.indexOf("@");
  if (at === -1) return { local: undefined, domain: bare, resource };
  return { local: bare.slice(0, at), domain: bare.slice(at + 1), resource };
}

function prepareLocal(text: string): string {
  checkWorkable(text);
  if (PLAIN_LOCAL.test(text)) {
    return checkLength(HAS_UPPER.test(text) ? text.toLowerCase() : detach(text));
  }
  const local = enforceUsername(text);
  if (local === undefined || LOCAL_EXCLUDED.test(local)) {
    throw new JidError("its local part has a forbidden character or none at all");
  }
  return checkLength(local);
}

function preparedDomain(text: string): string {
  checkWorkable(text);
  const domain = prepareDomain(text);
  if (domain === undefined) throw new JidError("its domain is not a domain name");
  return checkLength(detach(domain));
}

function prepareResource(text: string): string {
  checkWorkable(text);
  if (PLAIN_RESOURCE.test(text)) return checkLength(detach(text));
  const resource = enforceOpaque(text);
  if (resource === undefined) {
    throw new JidError("its resource has a forbidden character or none at all");
  }
  return checkLength(detach(resource));
}

/** Bounds the work. What is composed or narrowed still has a byte for each unit of UTF-16. */
function checkWorkable(part: string): void {
  if (part.length > PART_BYTES_MAX) throw tooLong();
}

function checkLength(part: string): string {
  // A character of UTF-16 is at most three bytes of UTF-8.
  if (part.length * 3 > PART_BYTES_MAX && Buffer.byteLength(part) > PART_BYTES_MAX) {
    throw tooLong();
  }
  return part;
}

const tooLong = () => new JidError("a part is longer than 1023 bytes");
