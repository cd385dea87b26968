/** Short ways to look at what a test's client received. */
import { Element } from "../../xml/element.ts";
import type { TestSession } from "./client.ts";

/** "message chat from id", for comparing lists of stanzas at a glance. */
export const brief = ({ name, attrs }: Element): string =>
  [name, attrs.type ?? "", attrs.from ?? "", attrs.id ?? ""].join(" ").trim();

/** Everything since the last call, oldest first. */
export function take(session: TestSession, name?: string): Element[] {
  const taken = session.received.filter((one) => name === undefined || one.name === name);
  for (const one of taken) session.received.splice(session.received.indexOf(one), 1);
  return taken;
}

/** The only stanza of that name since the last call. */
export function one(session: TestSession, name: string): Element {
  const found = take(session, name);
  if (found.length !== 1) {
    throw new Error(`Expected one ${name}, got ${found.length}: ${found.map(String).join("\n")}`);
  }
  return found[0] as Element;
}

/** The name of the defined condition of an error stanza. */
export function conditionOf(stanza: Element): string | undefined {
  const error = stanza.getChild("error");
  return error?.children.find((child) => child instanceof Element)?.name;
}
