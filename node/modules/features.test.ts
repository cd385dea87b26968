/** All that a server and an account say they can do: clients go by what is in these lists. */
import { expect, test } from "vitest";
import { Cluster, DOMAIN } from "./testing/cluster.ts";
import { one } from "./testing/read.ts";

const ROMEO = `romeo@${DOMAIN}`;
const INFO = "<query xmlns='http://jabber.org/protocol/disco#info'/>";

const OF_BOTH = [
  "http://jabber.org/protocol/caps",
  "http://jabber.org/protocol/commands",
  "http://jabber.org/protocol/disco#info",
  "http://jabber.org/protocol/disco#items",
  "jabber:iq:last",
  "jabber:iq:private",
  "jabber:iq:register",
  "jabber:iq:version",
  "jabber:x:data",
  "msgoffline",
  "urn:xmpp:blocking",
  "urn:xmpp:carbons:2",
  "urn:xmpp:carbons:rules:0",
  "urn:xmpp:ping",
  "urn:xmpp:reporting:1",
  "urn:xmpp:time",
  "vcard-temp",
];
const OF_THE_DOMAIN = ["urn:xmpp:extdisco:2"];
const OF_AN_ACCOUNT = [
  "http://jabber.org/protocol/pubsub",
  "urn:xmpp:bookmarks:1#compat",
  "urn:xmpp:bookmarks:1#compat-pep",
  "urn:xmpp:mam:2",
  "urn:xmpp:mam:2#extended",
  "urn:xmpp:mam:2#groupchat-field",
  "urn:xmpp:pep-vcard-conversion:0",
  "urn:xmpp:push:0",
  "urn:xmpp:sid:0",
];
/** XEP-0060, table 10. */
const OF_PUBSUB = [
  "access-authorize",
  "access-open",
  "access-presence",
  "access-roster",
  "access-whitelist",
  "auto-create",
  "auto-subscribe",
  "config-node",
  "config-node-max",
  "create-and-configure",
  "create-nodes",
  "delete-items",
  "delete-nodes",
  "filtered-notifications",
  "instant-nodes",
  "item-ids",
  "last-published",
  "manage-subscriptions",
  "member-affiliation",
  "meta-data",
  "modify-affiliations",
  "outcast-affiliation",
  "persistent-items",
  "presence-subscribe",
  "publish",
  "publish-only-affiliation",
  "publish-options",
  "publisher-affiliation",
  "purge-nodes",
  "retract-items",
  "retrieve-affiliations",
  "retrieve-default",
  "retrieve-items",
  "retrieve-subscriptions",
  "rsm",
  "subscribe",
].map((feature) => `http://jabber.org/protocol/pubsub#${feature}`);

async function described(address: string) {
  const services = [{ type: "stun", host: "stun.example.org" }];
  const cluster = new Cluster({ nodes: 1, options: { externalServices: { services } } });
  cluster.stores.addUser(ROMEO);
  const node = cluster.node(0);
  const romeo = await node.login(`${ROMEO}/desk`);
  await node.send(romeo, `<iq to='${address}' type='get' id='q'>${INFO}</iq>`);
  const query = one(romeo, "iq").getChild("query");
  const identities = query?.getChildren("identity") ?? [];
  return {
    identities: identities.map(({ attrs }) => `${attrs.category}/${attrs.type}`),
    features: query?.getChildren("feature").map(({ attrs }) => String(attrs.var)),
  };
}

test("the domain says what it can do, once each, and nothing else", async () => {
  const { identities, features } = await described(DOMAIN);
  expect(identities).toEqual(["server/im"]);
  expect(features?.toSorted()).toEqual([...OF_BOTH, ...OF_THE_DOMAIN].toSorted());
});

test("an account says what it can do, once each, and nothing else", async () => {
  const { identities, features } = await described(ROMEO);
  expect(identities).toEqual(["account/registered", "pubsub/pep"]);
  expect(features?.toSorted()).toEqual([...OF_BOTH, ...OF_AN_ACCOUNT, ...OF_PUBSUB].toSorted());
});
