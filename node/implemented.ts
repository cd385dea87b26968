/** What is spoken besides the RFCs: of the modules and of the rooms below them. */
import { MODULES } from "./modules/index.ts";

export interface Implemented {
  readonly xep: number;
  readonly name: string;
  readonly version: string;
  /** The room or module. */
  readonly where: string;
}

const NAMES: Readonly<Record<number, string>> = {
  441: "Message Archive Management Preferences",
  359: "Unique and Stable Stanza IDs",
  334: "Message Processing Hints",
  313: "Message Archive Management",
  59: "Result Set Management",
  12: "Last Activity",
  30: "Service Discovery",
  48: "Bookmarks",
  49: "Private XML Storage",
  50: "Ad-Hoc Commands",
  54: "vcard-temp",
  60: "Publish-Subscribe (on accounts)",
  77: "In-Band Registration",
  84: "User Avatar",
  92: "Software Version",
  114: "Jabber Component Protocol (accept)",
  115: "Entity Capabilities",
  128: "Service Discovery Extensions",
  133: "Service Administration",
  153: "vCard-Based Avatars",
  156: "Discovering Alternative XMPP Connection Methods",
  157: "Contact Addresses for XMPP Services",
  124: "Bidirectional-streams Over Synchronous HTTP (without key sequences, multiple streams, script syntax)",
  158: "CAPTCHA Forms (for registration)",
  160: "Best Practices for Handling Offline Messages",
  163: "Personal Eventing Protocol",
  191: "Blocking Command",
  175: "Best Practices for Use of SASL ANONYMOUS",
  178: "Best Practices for Use of SASL EXTERNAL with Certificates (clients)",
  198: "Stream Management",
  199: "XMPP Ping",
  202: "Entity Time",
  203: "Delayed Delivery",
  223: "Persistent Storage of Private Data via PubSub",
  206: "XMPP Over BOSH",
  215: "External Service Discovery",
  237: "Roster Versioning",
  249: "Direct MUC Invitations (copied, archived and pushed)",
  280: "Message Carbons",
  297: "Stanza Forwarding",
  352: "Client State Indication",
  357: "Push Notifications",
  363: "HTTP File Upload",
  368: "SRV records for XMPP over TLS (direct TLS)",
  386: "Bind 2",
  398: "User Avatar to vCard-Based Avatars Conversion",
  402: "PEP Native Bookmarks",
  388: "Extensible SASL Profile (without tasks)",
  440: "SASL Channel-Binding Type Capability",
  474: "SASL SCRAM Downgrade Protection",
  484: "Fast Authentication Streamlining Tokens (without TLS 0-RTT)",
  377: "Blocking Command Reports",
  455: "Service Outage Status",
  478: "Stream Limits Advertisement",
};

/** Spoken at the doors, before any module has a say. */
const DOOR = [
  { xep: 114, version: "1.6", where: "components" },
  { xep: 124, version: "1.11.2", where: "stream/bosh" },
  { xep: 156, version: "1.4.0", where: "http" },
  { xep: 158, version: "1.0.1", where: "session" },
  { xep: 175, version: "1.2", where: "auth" },
  { xep: 178, version: "1.2", where: "auth" },
  { xep: 198, version: "1.6.3", where: "session" },
  { xep: 206, version: "1.4", where: "stream/bosh" },
  { xep: 478, version: "0.1.0", where: "stream" },
  { xep: 368, version: "1.1.0", where: "stream" },
  { xep: 386, version: "1.0.0", where: "session" },
  { xep: 388, version: "1.0.0", where: "session" },
  { xep: 440, version: "0.4.1", where: "stream" },
  { xep: 474, version: "0.5.0", where: "auth" },
  { xep: 484, version: "0.1.0", where: "auth" },
];

export const IMPLEMENTED: readonly Implemented[] = [
  ...DOOR,
  ...MODULES.flatMap(({ name, implements: xeps }) =>
    xeps.map(({ xep, version }) => ({ xep, version, where: `modules/${name}` })),
  ),
].map((one) => ({ ...one, name: NAMES[one.xep] ?? "" }));
