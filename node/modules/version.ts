/** XEP-0092 Software Version. */
import { el } from "../xml/element.ts";
import { defineModule, iq } from "./contract.ts";

const NS = "jabber:iq:version";

export const version = defineModule({
  name: "version",
  about: "Says which software this is.",
  features: [NS],
  implements: [{ xep: 92, version: "1.1" }],
  setup({ software }) {
    const say = () =>
      el("query", { xmlns: NS }, [
        el("name", {}, software.name),
        el("version", {}, software.version),
      ]);
    return [iq.get("server", NS, "query", say)];
  },
});
