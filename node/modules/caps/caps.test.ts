import { expect, test } from "vitest";
import { parseElement } from "../../xml/parser.ts";
import type { CapsService } from "../contract.ts";
import { defineModule } from "../contract.ts";
import { MODULES } from "../index.ts";
import type { TestSession } from "../testing/client.ts";
import { Cluster, DOMAIN } from "../testing/cluster.ts";
import { take } from "../testing/read.ts";
import { verificationString, verOf } from "./verification.ts";

const INFO = "http://jabber.org/protocol/disco#info";
const HONEST = "<feature var='a'/><feature var='tune+notify'/>";
const hashOf = (content: string) => {
  const query = parseElement(Buffer.from(`<query xmlns='${INFO}'>${content}</query>`));
  return verOf(verificationString(query) as string, "sha-1");
};
const VER = hashOf(HONEST);

function newScene(options: Record<string, unknown> = {}) {
  let caps: CapsService | undefined;
  const told: string[] = [];
  const watcher = defineModule({
    name: "watcher",
    about: "Sees what the tests want to see.",
    needs: ["caps"],
    setup({ caps: given }) {
      caps = given;
      given.watch(({ jid }, features) => told.push(`${jid.resource}: ${[...features].join(" ")}`));
      return [];
    },
  });
  const modules = [...MODULES, watcher];
  const cluster = new Cluster({ nodes: 1, modules, options: { caps: options } });
  const node = cluster.node(0);
  const online = async (name: string, ver = VER, hash: string | undefined = "sha-1") => {
    cluster.stores.addUser(`${name}@${DOMAIN}`);
    const session = await node.login(`${name}@${DOMAIN}/${name}`);
    await present(session, ver, hash);
    return session;
  };
  const present = async (session: TestSession, ver: string, hash: string | undefined = "sha-1") => {
    const attribute = hash === undefined ? "" : ` hash='${hash}'`;
    const c = `<c xmlns='http://jabber.org/protocol/caps' node='app'${attribute} ver='${ver}'/>`;
    await node.send(session, `<presence>${c}</presence>`);
    await cluster.settle();
  };
  /** What the server asks of a client, by id. */
  const questions = (session: TestSession) =>
    take(session, "iq").filter(({ attrs }) => attrs.type === "get");
  const answer = async (session: TestSession, content: string, type = "result") => {
    const [question] = questions(session);
    const { id } = question?.attrs ?? {};
    const query = `<query xmlns='${INFO}'>${content}</query>`;
    await node.send(session, `<iq type='${type}' id='${id}' to='${DOMAIN}'>${query}</iq>`);
    await cluster.settle();
  };
  const features = (session: TestSession) => caps?.features(session);
  return { cluster, node, online, present, questions, answer, features, told };
}

test("one client is asked for each hash, and everybody who says it is known by the answer", async () => {
  const { online, questions, answer, features, told } = newScene();
  const romeo = await online("romeo");
  const juliet = await online("juliet");
  expect(questions(juliet)).toEqual([]);
  expect(features(juliet)).toBeUndefined();
  const [asked] = romeo.received.filter(({ name }) => name === "iq");
  expect(asked?.attrs).toMatchObject({ type: "get", from: DOMAIN, to: romeo.jid.full });
  expect(asked?.getChild("query", INFO)?.attrs.node).toBe(`app#${VER}`);
  await answer(romeo, HONEST);
  expect(features(romeo)).toContain("tune+notify");
  expect(features(juliet)).toBe(features(romeo));
  const nurse = await online("nurse");
  expect(questions(nurse)).toEqual([]);
  expect(features(nurse)).toBe(features(romeo));
  expect(told.map((line) => line.split(":")[0])).toEqual(["romeo", "juliet", "nurse"]);
});

test("who does not answer in time is passed over for the next, and only the answer counts", async () => {
  const { cluster, online, questions, answer, features } = newScene({ answerSeconds: 5 });
  const romeo = await online("romeo");
  const juliet = await online("juliet");
  cluster.clock.advance(5_001);
  await answer(juliet, HONEST);
  expect(features(juliet)).toContain("tune+notify");
  expect(features(romeo)).toBe(features(juliet));
  expect(questions(romeo)).toHaveLength(1);
});

test.each([
  ["other features than the hash says", "<feature var='b'/>", "result"],
  ["an ill-formed answer", "<feature var='a'/><feature var='a'/>", "result"],
  ["an error", "", "error"],
])("%s: the next is asked", async (_, content, type) => {
  const { online, answer, features } = newScene();
  const mallory = await online("mallory");
  const juliet = await online("juliet");
  await answer(mallory, content, type);
  await answer(juliet, HONEST);
  expect(features(juliet)).toContain("tune+notify");
});

test("a false answer is believed of nobody else", async () => {
  const { online, answer, features } = newScene();
  const mallory = await online("mallory");
  await answer(mallory, "<feature var='evil+notify'/>");
  const juliet = await online("juliet");
  expect(features(juliet)).toBeUndefined();
  await answer(juliet, HONEST);
  expect(features(juliet)).not.toContain("evil+notify");
});

test("the same string in another shape leaves nothing out", async () => {
  const { online, answer, features } = newScene();
  const mallory = await online("mallory");
  const form =
    "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>" +
    "<value>tune+notify</value></field></x>";
  await answer(mallory, `<feature var='a'/>${form}`);
  const juliet = await online("juliet");
  expect(features(juliet)).toContain("tune+notify");
});

test.each([[undefined], ["md5"], ["sha-9"]])(
  "with the hash %s each client is asked for itself",
  async (hash) => {
    const { online, answer, features } = newScene();
    const romeo = await online("romeo", "1.0", hash);
    const juliet = await online("juliet", "1.0", hash);
    await answer(romeo, "<feature var='a'/>");
    expect(features(juliet)).toBeUndefined();
    await answer(juliet, "<feature var='b'/>");
    expect(features(romeo)).toEqual(new Set(["a"]));
    expect(features(juliet)).toEqual(new Set(["b"]));
  },
);

test("another hash is asked about, an old answer no longer counts, and going offline forgets", async () => {
  const { node, online, present, questions, features, answer, cluster } = newScene();
  const romeo = await online("romeo");
  await answer(romeo, HONEST);
  const other = "<feature var='other'/>";
  await present(romeo, hashOf(other));
  expect(features(romeo)).toBeUndefined();
  await answer(romeo, other);
  expect(features(romeo)).toContain("other");
  await node.send(romeo, "<presence type='unavailable'/>");
  await cluster.settle();
  expect(features(romeo)).toBeUndefined();
  expect(questions(romeo)).toEqual([]);
});

test("a client that leaves while it is asked does not keep the others waiting", async () => {
  const { node, online, answer, features } = newScene();
  const romeo = await online("romeo");
  const juliet = await online("juliet");
  await node.drop(romeo);
  await answer(juliet, HONEST);
  expect(features(juliet)).toContain("tune+notify");
});

test("questions are bounded, and a later presence asks again", async () => {
  const { online, present, questions, answer, features } = newScene({ inquiriesMax: 1 });
  const romeo = await online("romeo", hashOf("<feature var='x'/>"));
  const juliet = await online("juliet");
  expect(questions(juliet)).toEqual([]);
  await answer(romeo, "<feature var='x'/>");
  await present(juliet, VER);
  await answer(juliet, HONEST);
  expect(features(juliet)).toContain("tune+notify");
});

test("a result that nobody asked for goes the way of other stanzas", async () => {
  const { node, online, cluster, features } = newScene();
  const romeo = await online("romeo");
  take(romeo);
  const query = `<query xmlns='${INFO}'>${HONEST}</query>`;
  await node.send(romeo, `<iq type='result' id='caps-99' to='${DOMAIN}'>${query}</iq>`);
  await cluster.settle();
  expect(features(romeo)).toBeUndefined();
  expect(take(romeo)).toEqual([]);
});
