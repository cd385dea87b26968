import { expect, test } from "vitest";
import { Cluster, DOMAIN } from "./testing/cluster.ts";
import { one } from "./testing/read.ts";

const INFO = "<query xmlns='http://jabber.org/protocol/disco#info'/>";

async function forms(options: Record<string, unknown>) {
  const cluster = new Cluster({ nodes: 1, options });
  cluster.stores.addUser(`romeo@${DOMAIN}`);
  const romeo = await cluster.node(0).login(`romeo@${DOMAIN}/orchard`);
  await cluster.node(0).send(romeo, `<iq to='${DOMAIN}' type='get' id='q'>${INFO}</iq>`);
  const answer = one(romeo, "iq").getChild("query");
  return answer
    ?.getChildren("x", "jabber:x:data")
    .map((form) =>
      Object.fromEntries(
        form
          .getChildren("field")
          .map((field) => [
            field.attrs.var,
            field.getChildren("value").map((value) => value.text()),
          ]),
      ),
    );
}

test("without configuration there is nothing to say", async () => {
  expect(await forms({})).toEqual([]);
});

test("contact addresses and the place of outages are told with what the server is", async () => {
  const abuse = ["mailto:abuse@capulet.example", "xmpp:abuse@capulet.example"];
  const outage = ["https://status.example/status.json"];
  expect(await forms({ contacts: { abuse, outage } })).toEqual([
    { FORM_TYPE: ["http://jabber.org/network/serverinfo"], "abuse-addresses": abuse },
    { FORM_TYPE: ["urn:xmpp:sos:0"], "external-status-addresses": outage },
  ]);
});
