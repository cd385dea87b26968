/** XEP-0386: a resource is bound along with the login, and what the client asks for is enabled. */
import { createHmac } from "node:crypto";
import { withDeadline } from "../base/deadline.ts";
import type { Jid } from "../stanza/jid.ts";
import { NS_ACKS, NS_BIND2 } from "../stream/namespaces.ts";
import type { Element } from "../xml/element.ts";
import { isNamed, ns } from "../xml/names.ts";
import { serialize } from "../xml/write.ts";
import { addressFor } from "./bind.ts";
import type { BoundNote } from "./contract.ts";
import type { Door } from "./door-context.ts";
import type { BindWish, Wishes } from "./sasl2.ts";
import type { Session } from "./session.ts";

const NAME_BYTES = 9;
const NOTE_MS = 300;

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
  // Last, so that what it says of the archive holds from the moment everything is on.
  for (const note of door.boundNotes) answers += await noted(door, session, note);
  return `<bound xmlns='${NS_BIND2}'>${answers}</bound>`;
}

/** A login does not wait for long for what is only told along with it. */
async function noted(door: Door, session: Session, { describe }: BoundNote): Promise<string> {
  try {
    const describing = Promise.resolve(describe(session));
    return written(await withDeadline(describing, NOTE_MS, "note-timeout", "describe a session"));
  } catch (error) {
    door.log.debug({ session: session.id, err: error }, "not-noted");
    return "";
  }
}

async function enable(door: Door, session: Session, request: Element): Promise<string> {
  const namespace = ns(request);
  if (namespace === NS_ACKS) {
    return isNamed(request, "enable") ? session.enableAcks(request.attrs).toString() : "";
  }
  return written(await door.inline.get(namespace)?.enable(session, request));
}

const written = (answer: Element | undefined): string =>
  answer === undefined ? "" : serialize(answer);
