/** XEP-0386: a resource is bound along with the login, and what the client asks for is enabled. */
import { createHmac } from "node:crypto";
import type { Jid } from "../stanza/jid.ts";
import { NS_ACKS, NS_BIND2 } from "../stream/namespaces.ts";
import type { Element } from "../xml/element.ts";
import { isNamed, ns } from "../xml/names.ts";
import { serialize } from "../xml/write.ts";
import { addressFor } from "./bind.ts";
import type { Door } from "./door-context.ts";
import type { BindWish, Wishes } from "./sasl2.ts";
import type { Session } from "./session.ts";

const NAME_BYTES = 9;

/**
 * The address of a session to be. A client that says who it is has the same every time, so that it
 * replaces the session it had before, wherever that is (section 4.2). Nobody learns from it what
 * the client calls itself. A tag that no resource can begin with is left out.
 */
export function addressOf(door: Door, user: Jid, { bind, userAgent }: Wishes): Jid | undefined {
  const tag = bind?.tag ?? "";
  const name = userAgent === undefined ? undefined : stableName(door, user, tag, userAgent);
  if (tag !== "") {
    const suffix = name ?? addressFor(user, "", door)?.resource ?? "";
    const tagged = addressFor(user, `${tag}/${suffix}`, door);
    if (tagged !== undefined) return tagged;
  }
  return addressFor(user, name ?? "", door);
}

const stableName = (door: Door, user: Jid, tag: string, userAgent: string): string =>
  createHmac("sha256", door.resourceSecret)
    .update(JSON.stringify([user.bare, tag, userAgent]))
    .digest()
    .subarray(0, NAME_BYTES)
    .toString("base64url");

/** Namespaces of what can be asked for. */
export const inlineNamespaces = ({ inline }: Pick<Door, "inline">): readonly string[] => [
  ...inline.keys(),
  NS_ACKS,
];

/** Enables what the client asks for; `<bound/>`. What we do not know is passed over. */
export async function enableAll(
  door: Door,
  session: Session,
  { features }: BindWish,
): Promise<string> {
  let answers = "";
  for (const request of features) answers += await enable(door, session, request);
  return `<bound xmlns='${NS_BIND2}'>${answers}</bound>`;
}

async function enable(door: Door, session: Session, request: Element): Promise<string> {
  const namespace = ns(request);
  if (namespace === NS_ACKS) {
    return isNamed(request, "enable") ? session.enableAcks(request.attrs).toString() : "";
  }
  const answer = await door.inline.get(namespace)?.enable(session, request);
  return answer === undefined ? "" : serialize(answer);
}
