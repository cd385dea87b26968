/**
 * Names that only we can have made. A file's name says on which day it goes and is signed, so what
 * did not come from here never reaches a disk; a slot's token says who may put what there.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { Random } from "../../base/random.ts";

export const DAY_MS = 86_400_000;
const SIGNATURE_BYTES = 12;
const RANDOM_BYTES = 18;
const ID = /^(?<day>\d{1,6})-(?<random>[\w-]{24})-(?<signature>[\w-]{16})$/;
const TOKEN_CHARACTERS_MAX = 6_000;

/** What a slot allows. */
export interface Claim {
  readonly user: string;
  readonly bytes: number;
  readonly type: string;
  readonly untilMs: number;
}

export class Names {
  readonly #key: Buffer;
  readonly #random: Random;

  constructor(key: Buffer, random: Random) {
    this.#key = key;
    this.#random = random;
  }

  /** A new name. @param untilMs when the file goes, to a day */
  make(untilMs: number): string {
    const day = Math.ceil(untilMs / DAY_MS);
    const unsigned = `${day}-${this.#random.bytes(RANDOM_BYTES).toString("base64url")}`;
    return `${unsigned}-${this.#sign(`id ${unsigned}`)}`;
  }

  /** The day after which the file is gone; undefined for a name that is not ours. */
  dayOf(id: string): number | undefined {
    const parts = ID.exec(id)?.groups;
    if (parts === undefined) return undefined;
    const { day = "", random = "", signature = "" } = parts;
    return this.#isSigned(`id ${day}-${random}`, signature) ? Number(day) : undefined;
  }

  token(id: string, { user, bytes, type, untilMs }: Claim): string {
    const claim = Buffer.from(JSON.stringify([user, bytes, type, untilMs])).toString("base64url");
    return `${claim}.${this.#sign(`put ${id} ${claim}`)}`;
  }

  /** Undefined for a token that is not ours, or another file's. */
  claimIn(token: string, id: string): Claim | undefined {
    if (token.length > TOKEN_CHARACTERS_MAX) return undefined;
    const [claim = "", signature = ""] = token.split(".", 2);
    if (!this.#isSigned(`put ${id} ${claim}`, signature)) return undefined;
    const [user, bytes, type, untilMs] = JSON.parse(Buffer.from(claim, "base64url").toString()) as [
      string,
      number,
      string,
      number,
    ];
    return { user, bytes, type, untilMs };
  }

  #sign(text: string): string {
    const whole = createHmac("sha256", this.#key).update(text).digest();
    return whole.subarray(0, SIGNATURE_BYTES).toString("base64url");
  }

  #isSigned(text: string, signature: string): boolean {
    const [right, given] = [this.#sign(text), signature].map((one) => Buffer.from(one));
    return right?.length === given?.length && timingSafeEqual(right as Buffer, given as Buffer);
  }
}

const NAME_CHARACTERS_MAX = 200;

/** The last part of a file's URL: for people and for the ending, no part of any path of ours. */
export function urlName(name: string): string {
  const last = name.split(/[/\\]/).at(-1) ?? "";
  const short = [...last.toWellFormed()].slice(-NAME_CHARACTERS_MAX).join("");
  const safe = short.replace(/^\.+/, "");
  return strictly(safe === "" ? "file" : safe);
}

/** As RFC 3986 has it, and buckets sign it: encodeURIComponent leaves some reserved ones. */
export const strictly = (text: string): string =>
  encodeURIComponent(text).replace(
    /[!'()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );
