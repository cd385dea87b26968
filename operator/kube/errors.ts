/** Why the API server did not do what was asked. */

/** Reasons of our own, beside those of Kubernetes (NotFound, AlreadyExists, Conflict, Invalid,
 * …). */
export type LocalReason =
  | "Unreachable"
  | "DeadlineExceeded"
  | "Aborted"
  | "KindNotServed"
  | "BadAnswer"
  | "NotLeading";

export interface KubeErrorFields {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** The machine-readable reason of the Status object, or a LocalReason. */
  readonly reason: string;
  /** What the server asked us to wait, from Retry-After or the Status details. */
  readonly retryAfterSeconds?: number | undefined;
  readonly cause?: unknown;
}

export class KubeError extends Error {
  override readonly name = "KubeError";
  readonly code = "kube";
  readonly status: number;
  readonly reason: string;
  readonly retryAfterSeconds: number | undefined;

  /** `message`: "Cannot apply ReplicaSet chat/chat-5d21: why". */
  constructor(message: string, fields: KubeErrorFields) {
    super(message, fields.cause === undefined ? {} : { cause: fields.cause });
    this.status = fields.status;
    this.reason = fields.reason;
    this.retryAfterSeconds = fields.retryAfterSeconds;
  }
}

/** Narrows to a KubeError, of one reason if given. */
export function isKubeError(error: unknown, reason?: string): error is KubeError {
  return error instanceof KubeError && (reason === undefined || error.reason === reason);
}

/** metav1.Status as sent; every field may be missing. */
interface Status {
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: { readonly name?: string; readonly retryAfterSeconds?: number };
}

/** Longest part of a foreign body that goes into a message. */
const QUOTE_MAX = 500;

/** Decodes a refusal. `what` is the act: "apply ReplicaSet chat/chat-5d21". A 404 about the path
 * and not about an object gets the reason KindNotServed. */
export function decodeError(
  what: string,
  httpStatus: number,
  body: string,
  retryAfter?: string | string[],
): KubeError {
  const status = parseStatus(body);
  const text = status.message ?? (body.slice(0, QUOTE_MAX).trim() || "no explanation");
  const isPath = httpStatus === 404 && status.details?.name === undefined;
  const reason = isPath ? "KindNotServed" : (status.reason ?? `Http${httpStatus}`);
  const message = `Cannot ${what}: ${text} (${httpStatus} ${reason})`;
  const retryAfterSeconds = seconds(retryAfter) ?? status.details?.retryAfterSeconds;
  return new KubeError(message, { status: httpStatus, reason, retryAfterSeconds });
}

/** Decodes the object of a watch event of type ERROR. */
export function decodeWatchError(what: string, object: unknown): KubeError {
  const code = (object as Status | undefined)?.code ?? 500;
  return decodeError(what, code, JSON.stringify(object ?? {}));
}

function parseStatus(body: string): Status {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? (value as Status) : {};
  } catch {
    return {}; // A proxy in between answers in its own words.
  }
}

/** The API server sends seconds; the date form of RFC 9110 is not used by it and is ignored. */
function seconds(header: string | string[] | undefined): number | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  if (text === undefined || !/^[0-9]{1,6}$/.test(text)) return undefined;
  return Number(text);
}
