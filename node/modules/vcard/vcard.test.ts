import { expect, test } from "vitest";
import type { TestSession } from "../testing/client.ts";
import { Cluster, DOMAIN } from "../testing/cluster.ts";
import { conditionOf, one } from "../testing/read.ts";

const ROMEO = `romeo@${DOMAIN}`;
const JULIET = `juliet@${DOMAIN}`;
const TYBALT = `tybalt@${DOMAIN}`;
const NS = "vcard-temp";
const card = (content: string) => `<vCard xmlns='${NS}'>${content}</vCard>`;

async function scene(options: Record<string, unknown> = {}) {
  const cluster = new Cluster({ nodes: 2, options });
  for (const user of [ROMEO, JULIET]) cluster.stores.addUser(user);
  const romeo = await cluster.node(0).login(`${ROMEO}/desk`);
  const juliet = await cluster.node(1).login(`${JULIET}/balcony`);
  const asks = async (session: TestSession, type: string, content: string, to = "") => {
    const node = cluster.node(session === romeo ? 0 : 1);
    const address = to === "" ? "" : ` to='${to}'`;
    await node.send(session, `<iq type='${type}'${address} id='q'>${content}</iq>`);
    return one(session, "iq");
  };
  return { cluster, romeo, juliet, asks };
}

test("a vCard is read by everybody, and by its owner before it is made", async () => {
  const { romeo, juliet, asks } = await scene();
  expect((await asks(romeo, "get", card(""))).getChild("vCard", NS)?.children).toEqual([]);
  const set = await asks(romeo, "set", card("<FN>Romeo</FN>"));
  expect(set.attrs.type).toBe("result");
  for (const answer of [
    await asks(romeo, "get", card(""), ROMEO),
    await asks(juliet, "get", card(""), ROMEO),
  ]) {
    expect(answer.attrs.from).toBe(ROMEO);
    expect(answer.getChild("vCard", NS)?.getChildText("FN")).toBe("Romeo");
  }
});

test("an account without a vCard answers as one that does not exist", async () => {
  const { romeo, asks } = await scene();
  for (const to of [JULIET, TYBALT]) {
    expect(conditionOf(await asks(romeo, "get", card(""), to))).toBe("service-unavailable");
  }
});

test("nobody changes another's vCard", async () => {
  const { romeo, asks, cluster } = await scene();
  expect(conditionOf(await asks(romeo, "set", card("<FN>x</FN>"), JULIET))).toBe("forbidden");
  expect(cluster.stores.documents.get(JULIET)?.size ?? 0).toBe(0);
});

test("a vCard that is too large is refused, and the old one stays", async () => {
  const { romeo, asks } = await scene({ vcard: { bytesMax: 1_024 } });
  await asks(romeo, "set", card("<FN>Romeo</FN>"));
  const large = card(`<NOTE>${"x".repeat(1_100)}</NOTE>`);
  expect(conditionOf(await asks(romeo, "set", large))).toBe("resource-constraint");
  const kept = (await asks(romeo, "get", card(""))).getChild("vCard", NS);
  expect(kept?.getChildText("FN")).toBe("Romeo");
});
