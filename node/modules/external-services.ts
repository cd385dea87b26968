/**
 * XEP-0215 External Service Discovery: STUN, TURN and the like that the operator runs, with
 * credentials: fixed ones, or such as a TURN server with the same secret accepts for a while.
 */
import { createHmac } from "node:crypto";
import { z } from "zod";
import { integer, secret } from "../config/options.ts";
import { formatDateTime } from "../stanza/delay.ts";
import { StanzaError } from "../stanza/error.ts";
import type { Jid } from "../stanza/jid.ts";
import type { Element } from "../xml/element.ts";
import { el } from "../xml/element.ts";
import { child } from "../xml/names.ts";
import type { Request } from "./contract.ts";
import { defineModule, disco, iq } from "./contract.ts";

const NS = "urn:xmpp:extdisco:2";
const SERVICES_MAX = 50;

const line = (about: string) => z.string().min(1).max(1_023).describe(about);

const service = z.strictObject({
  type: line("What it is: stun, stuns, turn, turns, ..."),
  host: line("Its name or address."),
  port: z.int().min(1).max(65_535).optional().describe("Its port; the type's own when left out."),
  transport: z.enum(["udp", "tcp"]).optional().describe("What it is reached over."),
  username: line("Fixed name to log in with.").optional(),
  password: secret("Fixed password to log in with."),
  secret: secret("Shared with the service: makes names and passwords that expire."),
});

type Service = z.output<typeof service>;

interface Credentials {
  readonly username: string;
  readonly password: string;
  readonly expires?: string;
}

/** As TURN servers check it: the name says until when, the password is its HMAC. */
function temporary(key: string, user: Jid, untilMs: number): Credentials {
  const username = `${Math.floor(untilMs / 1_000)}:${user.bare}`;
  const password = createHmac("sha1", key).update(username).digest("base64");
  return { username, password, expires: formatDateTime(untilMs) };
}

export const externalServices = defineModule({
  name: "externalServices",
  about: "Tells clients of services besides XMPP, such as TURN.",
  implements: [{ xep: 215, version: "1.0.0" }],
  options: {
    services: z.array(service).max(SERVICES_MAX).default([]).describe("The services."),
    credentialSeconds: integer({
      about: "How long credentials made with a secret are good for.",
      default: 86_400,
      min: 60,
      max: 2_592_000,
    }),
  },
  setup({ domains, clock }, { services, credentialSeconds }) {
    function credentialsOf({ username, password, secret: key }: Service, user: Jid) {
      if (key !== undefined) {
        return temporary(key, user, clock.nowMs() + credentialSeconds * 1_000);
      }
      return username === undefined || password === undefined ? undefined : { username, password };
    }
    function describe(one: Service, user: Jid): Element {
      const { type, host, port, transport } = one;
      const credentials = credentialsOf(one, user);
      const restricted = credentials === undefined ? undefined : "true";
      const where = { type, host, port: port?.toString(), transport };
      return el("service", { ...where, restricted, ...credentials });
    }
    /** Credentials are for our own users (section 6). */
    function checkIsOurs({ from }: Request): void {
      if (!domains.includes(from.domain)) throw new StanzaError("forbidden");
    }
    function list(request: Request): Element {
      checkIsOurs(request);
      const { type } = request.payload.attrs;
      const found = services.filter((one) => type === undefined || one.type === type);
      return el(
        "services",
        { xmlns: NS, type },
        found.map((one) => describe(one, request.from)),
      );
    }
    function credentials(request: Request): Element {
      checkIsOurs(request);
      const asked = child(request.payload, "service", NS);
      const { type, host, port } = (asked?.attrs ?? {}) as Record<string, string | undefined>;
      if (type === undefined || host === undefined) throw new StanzaError("bad-request");
      const found = services.filter(
        (one) =>
          one.type === type &&
          one.host === host &&
          (port === undefined || one.port === undefined || String(one.port) === port) &&
          credentialsOf(one, request.from) !== undefined,
      );
      if (found.length === 0) throw new StanzaError("item-not-found");
      return el(
        "credentials",
        { xmlns: NS },
        found.map((one) => describe(one, request.from)),
      );
    }
    return [
      iq.get("server", NS, "services", list),
      iq.get("server", NS, "credentials", credentials),
      ...(services.length > 0 ? [disco("server", { features: [NS] })] : []),
    ];
  },
});
