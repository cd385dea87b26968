/** XEP-0202 Entity Time. */
import { formatDateTime } from "../stanza/delay.ts";
import { el } from "../xml/element.ts";
import { defineModule, iq } from "./contract.ts";

const NS = "urn:xmpp:time";

export const time = defineModule({
  name: "time",
  about: "Tells the time.",
  features: [NS],
  implements: [{ xep: 202, version: "2.0" }],
  setup({ clock }) {
    const tell = () =>
      el("time", { xmlns: NS }, [
        el("tzo", {}, "+00:00"),
        el("utc", {}, formatDateTime(clock.nowMs())),
      ]);
    return [iq.get("server", NS, "time", tell)];
  },
});
