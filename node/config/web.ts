/** Options of the listener for what clients do over HTTP. */
import { flag, integer, list, optionalInteger, optionalText, section, text } from "./options.ts";

export const web = section("What browsers use: WebSocket, BOSH, and how to find them.", {
  host: text({ about: "Address to listen on.", default: "0.0.0.0" }),
  port: optionalInteger({
    about: "Port for HTTPS; nothing is served when left out.",
    min: 0,
    max: 65_535,
  }),
  tls: flag({
    about: "HTTPS with the domains' certificates; off only behind a proxy that does it.",
    default: true,
  }),
  url: optionalText({
    about:
      "Where clients reach this listener, as https://chat.example.org; if left out, its port at each domain.",
  }),
  trustedProxies: list({
    about: "Addresses and networks of proxies whose X-Forwarded-For and -Proto are believed.",
    min: 0,
    max: 100,
    default: [],
  }),
  origins: list({
    about: 'Web pages that may connect, as https://chat.example.org; "*" for all.',
    max: 1_000,
    default: ["*"],
  }),
  connectionsMax: integer({
    about: "HTTP connections held at once; a BOSH client has two.",
    default: 19_000,
    min: 1,
    max: 1_000_000,
  }),
  bosh: section("XEP-0124 at /http-bind.", {
    enabled: flag({ about: "Whether clients may use it.", default: true }),
    waitSecondsMax: integer({
      about: "How long a request is held when there is nothing to say.",
      default: 60,
      min: 1,
      max: 600,
    }),
    inactivitySeconds: integer({
      about: "How long a client may have no request waiting before its session ends.",
      default: 60,
      min: 5,
      max: 600,
    }),
  }),
  websocket: flag({ about: "RFC 7395 at /xmpp-websocket.", default: true }),
});
