/** How XMPP carries SASL: RFC 6120, section 6. */
import type { SaslCondition } from "../auth/contract.ts";
import { NS_SASL } from "../stream/namespaces.ts";
import type { ParsedStanza } from "../xml/contract.ts";
import { text } from "../xml/names.ts";

export interface SaslProfile {
  readonly ns: string;
  /** The element that begins an attempt. */
  readonly start: string;
  /** The client's first message in base64, undefined when there is none. */
  initial(start: ParsedStanza): string | undefined;
  challenge(data: Buffer): Buffer;
  failure(condition: SaslCondition): Buffer;
}

const element = (name: string, content: string): Buffer =>
  Buffer.from(`<${name} xmlns='${NS_SASL}'>${content}</${name}>`);

export const SASL: SaslProfile = {
  ns: NS_SASL,
  start: "auth",
  initial(start) {
    const message = text(start.element());
    if (message === "") return undefined;
    return message === "=" ? "" : message; // 6.4.2: "=" stands for a message of no length.
  },
  challenge: (data) => element("challenge", data.toString("base64")),
  failure: (condition) => element("failure", `<${condition}/>`),
};

/** The end of an attempt of RFC 6120; a header comes next. */
export const saslSuccess = (data: Buffer | undefined): Buffer =>
  data === undefined
    ? Buffer.from(`<success xmlns='${NS_SASL}'/>`)
    : element("success", data.toString("base64"));
