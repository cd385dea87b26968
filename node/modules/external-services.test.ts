import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { Cluster, DOMAIN } from "./testing/cluster.ts";
import { conditionOf, one } from "./testing/read.ts";

const NS = "urn:xmpp:extdisco:2";
const ROMEO = `romeo@${DOMAIN}`;
const SERVICES = [
  { type: "stun", host: "stun.example", port: 3478, transport: "udp" },
  { type: "turn", host: "turn.example", port: 3478, transport: "udp", secret: "shared" },
  { type: "turns", host: "turn.example", username: "guest", password: "open" },
];

async function scene(options: Record<string, unknown> = { services: SERVICES }) {
  const cluster = new Cluster({ nodes: 1, options: { externalServices: options } });
  cluster.stores.addUser(ROMEO);
  const romeo = await cluster.node(0).login(`${ROMEO}/orchard`);
  const ask = async (payload: string) => {
    await cluster.node(0).send(romeo, `<iq to='${DOMAIN}' type='get' id='q'>${payload}</iq>`);
    return one(romeo, "iq");
  };
  const services = async (more = "") =>
    (await ask(`<services xmlns='${NS}'${more}/>`))
      .getChild("services", NS)
      ?.getChildren("service")
      .map(({ attrs }) => ({ ...attrs }));
  return { cluster, ask, services };
}

test("services are told, with credentials that a TURN server with the secret accepts", async () => {
  const { services, cluster } = await scene({ services: SERVICES, credentialSeconds: 3_600 });
  const untilMs = cluster.clock.startMs + 3_600_000;
  const username = `${untilMs / 1_000}:${ROMEO}`;
  const password = createHmac("sha1", "shared").update(username).digest("base64");
  const expires = new Date(untilMs).toISOString();
  expect(await services()).toEqual([
    { type: "stun", host: "stun.example", port: "3478", transport: "udp" },
    {
      ...{ type: "turn", host: "turn.example", port: "3478", transport: "udp" },
      ...{ restricted: "true", username, password, expires },
    },
    {
      ...{ type: "turns", host: "turn.example", restricted: "true" },
      ...{ username: "guest", password: "open" },
    },
  ]);
});

test("one type is asked for, or the credentials of one service", async () => {
  const { services, ask } = await scene();
  expect((await services(" type='stun'"))?.map(({ host }) => host)).toEqual(["stun.example"]);
  expect(await services(" type='nothing'")).toEqual([]);
  const service = "<service type='turns' host='turn.example'/>";
  const answer = await ask(`<credentials xmlns='${NS}'>${service}</credentials>`);
  const found = answer.getChild("credentials", NS)?.getChild("service");
  expect(found?.attrs).toMatchObject({ username: "guest", password: "open" });
});

test.each([
  ["no service", "", "bad-request"],
  ["a service without a host", "<service type='turn'/>", "bad-request"],
  ["a service without a type", "<service host='turn.example'/>", "bad-request"],
  ["a service there is none", "<service type='turn' host='other.example'/>", "item-not-found"],
  ["another port", "<service type='turn' host='turn.example' port='1'/>", "item-not-found"],
  ["one without credentials", "<service type='stun' host='stun.example'/>", "item-not-found"],
])("credentials for %s are refused", async (_what, content, condition) => {
  const { ask } = await scene();
  const answer = await ask(`<credentials xmlns='${NS}'>${content}</credentials>`);
  expect(conditionOf(answer)).toBe(condition);
});

test("without services nothing is announced, and the list is empty", async () => {
  const { services, ask } = await scene({});
  expect(await services()).toEqual([]);
  const info = await ask("<query xmlns='http://jabber.org/protocol/disco#info'/>");
  const features = info
    .getChild("query")
    ?.getChildren("feature")
    .map(({ attrs }) => attrs.var);
  expect(features).not.toContain(NS);
});
