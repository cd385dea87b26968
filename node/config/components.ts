/** Options of the door for external components. */
import {
  byName,
  flag,
  integer,
  optionalInteger,
  requiredSecret,
  section,
  text,
} from "./options.ts";

export const components = section("External components (XEP-0114); the same on every node.", {
  host: text({ about: "Address to listen on.", default: "127.0.0.1" }),
  port: optionalInteger({
    about: "Port for components; nobody is let in when left out.",
    min: 0,
    max: 65_535,
  }),
  tls: flag({
    about: "TLS from the first byte with the domains' certificates; without it on loopback only.",
    default: false,
  }),
  domains: byName("Domains of components, as {icq.example.org: {secret}}.", 1_000, {
    secret: requiredSecret("What the component must know to speak for the domain."),
  }),
  handshakeSeconds: integer({
    about: "Time a component has from connecting to having shown that it knows its secret.",
    default: 10,
    min: 1,
    max: 600,
  }),
  stanzaBytesMax: integer({
    about: "Size of a stanza of a component.",
    default: 262_144,
    min: 10_000,
    max: 10_485_760,
  }),
  waitingBytesMax: integer({
    about: "Bytes that may wait for a slow component before it is dropped.",
    default: 16_777_216,
    min: 65_536,
    max: 1_073_741_824,
  }),
  connectionsMax: integer({
    about: "Connections held at once.",
    default: 1_000,
    min: 1,
    max: 100_000,
  }),
});

/** Whether nobody but this machine can reach an address that is listened on. */
export const isLoopbackOnly = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
