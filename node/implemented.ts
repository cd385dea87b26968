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
  30: "Service Discovery",
  77: "In-Band Registration",
  92: "Software Version",
  115: "Entity Capabilities",
  160: "Best Practices for Handling Offline Messages",
  191: "Blocking Command",
  198: "Stream Management (acknowledgements only)",
  199: "XMPP Ping",
  202: "Entity Time",
  203: "Delayed Delivery",
  237: "Roster Versioning",
  352: "Client State Indication",
  368: "SRV records for XMPP over TLS (direct TLS)",
  377: "Blocking Command Reports",
};

/** Spoken at the client door, before any module has a say. */
const DOOR = [
  { xep: 198, version: "1.6.3", where: "session" },
  { xep: 368, version: "1.1.0", where: "stream" },
];

export const IMPLEMENTED: readonly Implemented[] = [
  ...DOOR,
  ...MODULES.flatMap(({ name, implements: xeps }) =>
    xeps.map(({ xep, version }) => ({ xep, version, where: `modules/${name}` })),
  ),
].map((one) => ({ ...one, name: NAMES[one.xep] ?? "" }));
