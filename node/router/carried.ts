/** What modules keep of a session and must not be lost when it goes on at another node. */
import type { Logger } from "../base/log.ts";
import type { ClientSession } from "../session/contract.ts";
import type { Counters } from "./counters.ts";

export interface CarriedRegistration {
  readonly kind: "carried";
  /** Of the session's `state`. */
  readonly key: string;
  /** Something that JSON can say. */
  readonly encode: (value: unknown) => unknown;
  /** What `encode` gave, of this version or the one before. @throws Error: it is left out */
  readonly decode: (said: unknown) => unknown;
  /** The value after a change that `stateChanged` told of. @throws Error: it is left out */
  readonly change: (value: unknown, said: unknown) => unknown;
}

/** In place of a key: what has changed since, a line for each change. */
export const CHANGES = "+";
const NEWLINE = Buffer.from("\n");

/** @param value something that JSON can say, and `change` of the registration of `key` reads */
export const changeLine = (key: string, value: unknown): Buffer =>
  Buffer.from(JSON.stringify([key, value]));

export const joinChanges = (lines: readonly Buffer[]): Buffer =>
  Buffer.concat(lines.flatMap((line, at) => (at === 0 ? [line] : [NEWLINE, line])));

/** What is kept under `key` goes along; what is not registered so stays behind. */
export const carried = <Value>(
  key: string,
  encode: (value: Value) => unknown,
  decode: (said: never) => Value,
  change: (value: Value | undefined, said: never) => Value | undefined = (value) => value,
): CarriedRegistration => ({
  kind: "carried",
  key,
  encode: encode as (value: unknown) => unknown,
  decode: decode as (said: unknown) => unknown,
  change: change as (value: unknown, said: unknown) => unknown,
});

/** For what is only there or not. */
export const carriedFlag = (key: string): CarriedRegistration =>
  carried(
    key,
    () => true,
    () => true,
  );

export class Carried {
  readonly #byKey: ReadonlyMap<string, CarriedRegistration>;
  readonly #counters: Counters;
  readonly #log: Logger;

  constructor(registrations: readonly CarriedRegistration[], counters: Counters, log: Logger) {
    this.#byKey = new Map(registrations.map((one) => [one.key, one]));
    this.#counters = counters;
    this.#log = log;
  }

  export({ state }: ClientSession): ReadonlyMap<string, Buffer> {
    const said = new Map<string, Buffer>();
    for (const [key, value] of state) {
      const registration = this.#byKey.get(key);
      if (registration === undefined) continue;
      said.set(key, Buffer.from(JSON.stringify(registration.encode(value))));
    }
    return said;
  }

  import(session: ClientSession, said: ReadonlyMap<string, Buffer>): void {
    const { state } = session;
    for (const [key, bytes] of said) {
      const registration = this.#byKey.get(key);
      if (registration === undefined) continue;
      this.#try(session, () => {
        state.set(key, registration.decode(JSON.parse(bytes.toString("utf8"))));
      });
    }
    for (const line of said.get(CHANGES)?.toString("utf8").split("\n") ?? []) {
      this.#try(session, () => {
        const [key, change] = JSON.parse(line) as [string, unknown];
        const registration = this.#byKey.get(key);
        if (registration !== undefined) state.set(key, registration.change(state.get(key), change));
      });
    }
  }

  #try({ id }: ClientSession, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#counters.failures += 1;
      this.#log.error({ err: error, session: id }, "cannot take over what a module kept");
    }
  }
}
