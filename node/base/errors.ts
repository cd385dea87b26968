/** Errors say who must act: see docs/style.md. Every one carries a stable `code`. */

/** A dependency did not answer in time or refused: the caller may retry, store, or tell its peer. */
export class Unavailable extends Error {
  override readonly name = "Unavailable";
  readonly code: string;

  /** @param code stable, e.g. "store-timeout"; @param message "what could not be done: why" */
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The configuration or the environment is wrong: refuse to start, and say what to change. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code = "config-invalid";
}
