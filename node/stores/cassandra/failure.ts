/** What the driver's errors mean for the caller. */
import { errors, types } from "cassandra-driver";
import { ConfigError, Unavailable } from "../../base/errors.ts";

const { responseErrorCodes } = types;

/** Answers of a server that asked its replicas and waited for them in vain. */
const SERVER_TIMEOUTS: readonly number[] = [
  responseErrorCodes.readTimeout,
  responseErrorCodes.writeTimeout,
  0x1700, // CAS_WRITE_UNKNOWN, which the driver does not name.
];

/**
 * Unavailable with "store-timeout", "store-overload" or "store-unavailable". An error that is a bug
 * of ours, such as a value of the wrong type, is answered as it is.
 */
export function asUnavailable(error: unknown, what: string): unknown {
  if (error instanceof Unavailable || error instanceof TypeError) return error;
  if (error instanceof errors.ArgumentError) return error;
  const why = reasonOf(error);
  return new Unavailable(codeOf(error), `Cannot ${what}: ${why}`, { cause: error });
}

/**
 * What to throw when the first connection fails: ConfigError for what a retry cannot help (login
 * refused, no such datacenter), Unavailable otherwise.
 */
export function asOpenFailure(error: unknown): unknown {
  const [refused] = [error, ...innerErrors(error)].filter(
    (cause) => cause instanceof errors.AuthenticationError || cause instanceof errors.ArgumentError,
  );
  if (refused instanceof Error) {
    return new ConfigError(`Cannot connect to Cassandra: ${refused.message}`, { cause: error });
  }
  return asUnavailable(error, "connect to Cassandra");
}

/** Whether the server refused a statement because our role lacks the permission. */
export const isUnauthorized = (error: unknown): boolean =>
  error instanceof errors.ResponseError && error.code === responseErrorCodes.unauthorized;

/**
 * Whether a server does not know a keyspace or table. Just after its creation that passes: servers
 * list a new name in their system tables, and even prepare statements for it, some moments before
 * they can run them ("Unknown CF").
 */
export function isUnknownName(error: unknown): boolean {
  const answer = error instanceof Unavailable ? error.cause : error;
  if (!(answer instanceof errors.ResponseError)) return false;
  if (answer.code === responseErrorCodes.invalid) return true;
  return answer.code === responseErrorCodes.serverError && answer.message.includes("Unknown CF");
}

/** Whether the server gave up waiting: a write may or may not have happened. */
export const isServerTimeout = (error: unknown): boolean =>
  error instanceof errors.ResponseError && SERVER_TIMEOUTS.includes(error.code);

function codeOf(error: unknown): string {
  if (error instanceof errors.OperationTimedOutError) return "store-timeout";
  if (error instanceof errors.BusyConnectionError) return "store-overload";
  if (isServerTimeout(error)) return "store-timeout";
  if (error instanceof errors.ResponseError && error.code === responseErrorCodes.overloaded) {
    return "store-overload";
  }
  const inner = innerErrors(error).map(codeOf);
  if (inner.includes("store-timeout")) return "store-timeout";
  return inner.includes("store-overload") ? "store-overload" : "store-unavailable";
}

/** In one line: the driver's own text for "no host available" holds a stack trace. */
function reasonOf(error: unknown): string {
  if (error instanceof errors.NoHostAvailableError) {
    const reasons = Object.entries(error.innerErrors).map(
      ([host, inner]) => `${host}: ${reasonOf(inner)}`,
    );
    return `no server could be asked${reasons.length > 0 ? ` (${reasons.join("; ")})` : ""}`;
  }
  return error instanceof Error ? error.message : String(error);
}

/** Of "no host available": the error of each host that was tried. */
function innerErrors(error: unknown): readonly unknown[] {
  return error instanceof errors.NoHostAvailableError ? Object.values(error.innerErrors) : [];
}
