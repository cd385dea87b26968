/** Which web pages may use the doors that browsers reach. */

/** Every page may: what is protected here is protected by a login, never by a cookie. */
const EVERYBODY = "*";

export class Origins {
  readonly #allowed: ReadonlySet<string>;

  /** @param allowed as browsers write them, https://chat.example.org, or "*" */
  constructor(allowed: readonly string[]) {
    this.#allowed = new Set(allowed.map((origin) => origin.toLowerCase()));
  }

  /** Whether a request with this Origin may be answered; programs that are no browser send none. */
  allow(origin: string | undefined): boolean {
    return origin === undefined || this.answer(origin) !== undefined;
  }

  /** The value of Access-Control-Allow-Origin; undefined for a page that may not look. */
  answer(origin: string): string | undefined {
    if (this.#allowed.has(EVERYBODY)) return EVERYBODY;
    return this.#allowed.has(origin.toLowerCase()) ? origin : undefined;
  }
}
