import { expect, test } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { parseElement } from "../../xml/parser.ts";
import { MODULES } from "../index.ts";
import { openRouter } from "../open-router.ts";
import { Cluster, DOMAIN } from "../testing/cluster.ts";
import { conditionOf, one } from "../testing/read.ts";
import { verificationString, verOf } from "./verification.ts";

const INFO = "http://jabber.org/protocol/disco#info";

function announced() {
  const parts = { modules: MODULES, options: {}, log: silentLog, domains: [DOMAIN] };
  const software = { name: "Zonda", version: "0.0.0-test" };
  const opened = openRouter({
    ...parts,
    software,
    stores: {},
    clock: systemClock,
  } as unknown as Parameters<typeof openRouter>[0]);
  const features = parseElement(Buffer.from(`<features>${opened.announced}</features>`));
  return features.getChild("c", "http://jabber.org/protocol/caps")?.attrs ?? {};
}

test("the node that the stream's features name has exactly what their hash says", async () => {
  const { node, ver, hash } = announced();
  expect(hash).toBe("sha-1");
  const cluster = new Cluster({ nodes: 1 });
  cluster.stores.addUser(`romeo@${DOMAIN}`);
  const romeo = await cluster.node(0).login(`romeo@${DOMAIN}/desk`);
  const ask = async (asked: string) => {
    const query = `<query xmlns='${INFO}' node='${asked}'/>`;
    await cluster.node(0).send(romeo, `<iq type='get' id='1' to='${DOMAIN}'>${query}</iq>`);
    return one(romeo, "iq");
  };
  const answer = (await ask(`${node}#${ver}`)).getChild("query", INFO);
  expect(answer?.attrs.node).toBe(`${node}#${ver}`);
  if (answer === undefined) throw new Error("No answer");
  expect(verOf(verificationString(answer) as string, "sha-1")).toBe(ver);
  expect(conditionOf(await ask(`${node}#other`))).toBe("item-not-found");
});
