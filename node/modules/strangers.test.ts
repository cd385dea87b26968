/** RFC 6120, 13.11: a stranger cannot find out by requests which accounts there are. */
import { expect, test } from "vitest";
import type { Module } from "./contract.ts";
import { MODULES } from "./index.ts";
import { Cluster, DOMAIN } from "./testing/cluster.ts";
import { one } from "./testing/read.ts";

const ROMEO = `romeo@${DOMAIN}`;
const JULIET = `juliet@${DOMAIN}`;
const NOBODY = `nobody@${DOMAIN}`;

/** Those modules, and what requests they know: "get <query xmlns='...'/>". */
function watched(): { readonly modules: readonly Module[]; readonly known: Set<string> } {
  const known = new Set<string>();
  const modules = MODULES.map((module): Module => {
    const setup: Module["setup"] = (host, options) => {
      const registrations = module.setup(host, options);
      for (const one of registrations) {
        if (one.kind === "iq") known.add(`${one.type} <${one.name} xmlns='${one.ns}'/>`);
      }
      return registrations;
    };
    return { ...module, setup };
  });
  return { modules, known };
}

const PUBSUB = "http://jabber.org/protocol/pubsub";
const pubsub = (wish: string, more = "") => `<pubsub xmlns='${PUBSUB}${more}'>${wish}</pubsub>`;
const disco = (what: string, node: string) =>
  `<query xmlns='http://jabber.org/protocol/disco#${what}' node='${node}'/>`;

/** What clients ask, where the element alone is not enough. */
const ASKED = [
  "get <query xmlns='urn:example:unknown'/>",
  "set <query xmlns='urn:example:unknown'/>",
  "get",
  `get ${disco("info", "urn:xmpp:avatar:data")}`,
  `get ${disco("items", "urn:xmpp:avatar:data")}`,
  `get ${pubsub("<items node='urn:xmpp:avatar:data'/>")}`,
  `get ${pubsub("<subscriptions/>")}`,
  `get ${pubsub("<affiliations/>")}`,
  `set ${pubsub(`<subscribe node='urn:xmpp:avatar:data' jid='${ROMEO}'/>`)}`,
  `set ${pubsub(`<unsubscribe node='urn:xmpp:avatar:data' jid='${ROMEO}'/>`)}`,
  `set ${pubsub("<publish node='x'><item><x xmlns='urn:example:x'/></item></publish>")}`,
  `set ${pubsub("<retract node='x'><item id='1'/></retract>")}`,
  `set ${pubsub("<create node='x'/>")}`,
  `get ${pubsub("<configure node='x'/>", "#owner")}`,
  `set ${pubsub("<delete node='x'/>", "#owner")}`,
  `set <query xmlns='jabber:iq:roster'><item jid='${ROMEO}'/></query>`,
  "set <vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>",
  "set <query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>1</max></set></query>",
];

test("a request to nobody is answered as one to a stranger is, whether that is there or not", async () => {
  const { modules, known } = watched();
  const cluster = new Cluster({ nodes: 1, modules });
  for (const user of [ROMEO, JULIET]) cluster.stores.addUser(user);
  const node = cluster.node(0);
  const romeo = await node.login(`${ROMEO}/orchard`);
  const answer = async (to: string, asked: string) => {
    const [type, payload = ""] = asked.split(/ (.*)/s);
    await node.send(romeo, `<iq to='${to}' type='${type}' id='q'>${payload}</iq>`);
    await cluster.settle();
    return one(romeo, "iq").toString().replaceAll(to, "whoever");
  };
  const all = [...known, ...ASKED];
  const answersOf = async (to: string) => {
    const told = new Map<string, string>();
    for (const asked of all) told.set(asked, await answer(to, asked));
    return told;
  };
  const ofNobody = await answersOf(NOBODY);
  expect([...ofNobody.keys()].length).toBeGreaterThan(40);
  expect(await answersOf(JULIET)).toEqual(ofNobody);
  const juliet = await node.login(`${JULIET}/balcony`);
  await node.send(juliet, "<presence/>");
  expect(await answersOf(JULIET)).toEqual(ofNobody);
});
