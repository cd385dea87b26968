/**
 * The keys of the cluster in etcd. Each part is encoded, so that a "/" in a resource is no border
 * and no user's keys begin with another's:
 *
 *     <prefix>nodes/<incarnation>                      a node record
 *     <prefix>routes/<domain>/<local>/<resource>       a route
 *     <prefix>claims/<name>                            the holder of a claim
 *     <prefix>void/<keeper>/<owner>                    copies that must not be used: a term
 *     <prefix>steps/<session>/<moves>                  the node that has gone on with it there
 *     <prefix>notices/<to>/<from>                      users whose routes have changed, or for whom something is stored
 */
import type { NodeRecord, Route } from "./contract.ts";

/** All keys that begin with `key`, up to `end`. */
export interface KeyRange {
  readonly key: Buffer;
  readonly end: Buffer;
}

const encoded = encodeURIComponent;

/** The keys that begin with `text`, which ends in "/": the next character ends the range. */
const under = (text: string): KeyRange => ({
  key: Buffer.from(text),
  end: Buffer.from(`${text.slice(0, -1)}0`),
});

export class Keys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix.endsWith("/") ? prefix : `${prefix}/`;
  }

  node(incarnation: string): string {
    return `${this.#prefix}nodes/${encoded(incarnation)}`;
  }

  get nodes(): KeyRange {
    return under(`${this.#prefix}nodes/`);
  }

  get routes(): KeyRange {
    return under(`${this.#prefix}routes/`);
  }

  /** Which of the keeper's copies of the owner's sessions are void. */
  voidCopies(keeper: string, owner: string): string {
    return `${this.#voidPrefix(keeper)}${encoded(owner)}`;
  }

  /** The same of all owners. */
  voidCopiesOf(keeper: string): KeyRange {
    return under(this.#voidPrefix(keeper));
  }

  /** The owner in one of those keys. */
  ownerIn(key: Buffer, keeper: string): string {
    return decodeURIComponent(key.toString("utf8").slice(this.#voidPrefix(keeper).length));
  }

  /** Whose route a key is. */
  userOf(key: Buffer): string {
    const path = key.toString("utf8").slice(`${this.#prefix}routes/`.length);
    // Components have no local part.
    const [domain = "", local = ""] = path.split("/").map(decodeURIComponent);
    return local === "" ? domain : `${local}@${domain}`;
  }

  route({ user, resource }: Pick<Route, "user" | "resource">): string {
    return `${this.#userPrefix(user)}${encoded(resource)}`;
  }

  user(user: string): KeyRange {
    return under(this.#userPrefix(user));
  }

  /** The resource of one of the user's keys. */
  resource(user: string, key: Buffer): string {
    return decodeURIComponent(key.toString("utf8").slice(this.#userPrefix(user).length));
  }

  claim(name: string): string {
    return `${this.#prefix}claims/${encoded(name)}`;
  }

  notice(to: string, from: string): string {
    return `${this.#prefix}notices/${encoded(to)}/${encoded(from)}`;
  }

  noticesTo(node: string): KeyRange {
    return under(`${this.#prefix}notices/${encoded(node)}/`);
  }

  step(session: string, moves: number): string {
    return `${this.#prefix}steps/${encoded(session)}/${moves}`;
  }

  #voidPrefix(keeper: string): string {
    return `${this.#prefix}void/${encoded(keeper)}/`;
  }

  #userPrefix(user: string): string {
    const at = user.indexOf("@"); // A local part holds no "@" (RFC 7622, 3.3.1).
    const local = user.slice(0, Math.max(at, 0));
    return `${this.#prefix}routes/${encoded(user.slice(at + 1))}/${encoded(local)}/`;
  }
}

/** What a route's key does not say already. Fields we do not know are left to later versions. */
export const encodeRoute = ({ node, session, available, priority, moves }: Route): Buffer =>
  Buffer.from(JSON.stringify({ n: node, s: session, a: available ? 1 : 0, p: priority, m: moves }));

/** Undefined for what is not a route. */
export function decodeRoute(user: string, resource: string, value: Buffer): Route | undefined {
  const { n: node, s: session, a, p, m } = fieldsOf(value);
  if (typeof node !== "string" || typeof session !== "string") return undefined;
  const priority = typeof p === "number" ? p : 0;
  const route = { user, resource, node, session, available: a === 1, priority };
  return typeof m === "number" ? { ...route, moves: m } : route;
}

export const encodeNode = (record: NodeRecord): Buffer => Buffer.from(JSON.stringify(record));

/** Undefined for what is not a node record. */
export function decodeNode(value: Buffer): NodeRecord | undefined {
  const { incarnation, name, meshHost, meshPort, version, zone } = fieldsOf(value);
  const texts = [incarnation, name, meshHost, version, zone];
  if (!texts.every((text) => typeof text === "string") || typeof meshPort !== "number") {
    return undefined;
  }
  const [a = "", b = "", c = "", d = "", e = ""] = texts as string[];
  return { incarnation: a, name: b, meshHost: c, meshPort, version: d, zone: e };
}

/** Those in a list; none in what is not one. */
export const textsOf = (value: Buffer): readonly string[] =>
  Object.values(fieldsOf(value)).filter((one) => typeof one === "string");

function fieldsOf(value: Buffer): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(value.toString("utf8"));
    return typeof parsed === "object" && parsed !== null ? { ...parsed } : {};
  } catch {
    return {};
  }
}
