/** XEP-0199 XMPP Ping. */
import { defineModule, iq } from "./contract.ts";

const NS = "urn:xmpp:ping";

export const ping = defineModule({
  name: "ping",
  about: "Answers pings.",
  features: [NS],
  implements: [{ xep: 199, version: "2.0.1" }],
  setup() {
    const pong = () => undefined;
    return [iq.get("server", NS, "ping", pong), iq.get("self", NS, "ping", pong)];
  },
});
