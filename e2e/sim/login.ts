/** The words of a client from its first header to a session, one answer for each thing it hears. */
import { scramClient } from "../../node/session/testing/scram-client.ts";
import type { ParsedStanza } from "../../node/xml/contract.ts";
import { PASSWORD } from "./store.ts";

const SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
export const ACKS = "urn:xmpp:sm:3";
const BIND = "urn:ietf:params:xml:ns:xmpp-bind";
const MECHANISM = "SCRAM-SHA-256";

export const header = (domain: string): string =>
  `<?xml version='1.0'?><stream:stream to='${domain}' version='1.0' xmlns='jabber:client' ` +
  `xmlns:stream='http://etherx.jabber.org/streams'>`;

export const bind = (resource: string): string =>
  `<iq type='set' id='bind'><bind xmlns='${BIND}'><resource>${resource}</resource></bind></iq>`;

export const resume = (previd: string, h: number): string =>
  `<resume xmlns='${ACKS}' previd='${previd}' h='${h}'/>`;

export const ENABLE = `<enable xmlns='${ACKS}' resume='true'/>`;

export type Heard = "go on" | "logged in" | "refused";

/** SASL, up to the header after it. */
export class LoginTalk {
  readonly #local: string;
  #answer: ReturnType<typeof scramClient>["answer"] | undefined;

  constructor(local: string) {
    this.#local = local;
  }

  /** @returns what to say next, if anything */
  hear(stanza: ParsedStanza): { readonly heard: Heard; readonly say?: string } {
    switch (stanza.name) {
      case "features": {
        const { first, answer } = scramClient(MECHANISM, this.#local, PASSWORD);
        this.#answer = answer;
        return {
          heard: "go on",
          say: `<auth xmlns='${SASL}' mechanism='${MECHANISM}'>${first}</auth>`,
        };
      }
      case "challenge": {
        const { final } = this.#answer?.(stanza.element().getText()) ?? { final: "" };
        return { heard: "go on", say: `<response xmlns='${SASL}'>${final}</response>` };
      }
      case "success":
        return { heard: "logged in" };
      default:
        return { heard: "refused" };
    }
  }
}
