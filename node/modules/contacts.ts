/** XEP-0157 Contact Addresses and XEP-0455 Service Outage Status: where to turn, by XEP-0128. */
import { list } from "../config/options.ts";
import { formElement } from "../stanza/form.ts";
import { defineModule, disco } from "./contract.ts";

const ADDRESSES_MAX = 20;

const addresses = (about: string) =>
  list({ about: `${about}, as URIs.`, min: 0, max: ADDRESSES_MAX, default: [] });

export const contacts = defineModule({
  name: "contacts",
  about: "Where users and other services find the people behind this one.",
  implements: [
    { xep: 128, version: "1.0.1" },
    { xep: 157, version: "1.1.1" },
    { xep: 455, version: "0.3.1" },
  ],
  options: {
    abuse: addresses("For reports of abuse"),
    admin: addresses("For questions to the administrators"),
    feedback: addresses("For feedback about the service"),
    sales: addresses("For questions about sales"),
    security: addresses("For reports about security"),
    status: addresses("Where the state of the service is published by people"),
    support: addresses("For support"),
    outage: addresses("Where a JSON file says whether there is an outage (XEP-0455)"),
  },
  setup(_host, { outage, ...kinds }) {
    const fields = Object.entries(kinds)
      .filter(([, values]) => values.length > 0)
      .map(([kind, values]) => ({ name: `${kind}-addresses`, type: "list-multi", values }));
    const information =
      fields.length === 0
        ? []
        : [formElement("result", "http://jabber.org/network/serverinfo", fields)];
    const status = { name: "external-status-addresses", type: "list-multi", values: outage };
    const outages = outage.length === 0 ? [] : [formElement("result", "urn:xmpp:sos:0", [status])];
    return [disco("server", { forms: () => [...information, ...outages] })];
  },
});
