/** A user with several devices, the node of one of which dies, or cannot be reached: what that one is given later. */
import { expect, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { until } from "../session/testing/door-kit.ts";
import { DoorCluster } from "./testing/door-cluster.ts";
import { record } from "./testing/shared-routes.ts";

const JULIET = "juliet@localhost";
const CARBONS = "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>";

const message = (to: string, id: string) =>
  `<message to='${to}' type='chat' id='${id}'><body>${id}</body></message>`;
const ids = (text: string) => [...text.matchAll(/<body>([^<]*)<\/body>/g)].map(([, id]) => id);

/** Juliet's desk is on the first node, her phone on the second, romeo on the third; the fourth is free. */
async function balcony() {
  const clock = new FakeClock();
  const cluster = await DoorCluster.open(4, clock);
  await cluster.addUser("juliet");
  await cluster.addUser("romeo");
  const desk = await cluster.online(0, "juliet", "desk");
  const phone = await cluster.online(1, "juliet", "phone");
  const romeo = await cluster.online(2, "romeo");
  const say = (to: string, id: string) => romeo.client.send(message(to, id));
  const heard = async (last: string) => ids(await phone.client.read(`${last}</body>`));
  const pass = (isSo: () => boolean, what: string) =>
    until(() => {
      clock.advance(50);
      return isSo();
    }, what);
  /** Another node goes on with her desk. */
  async function over(): Promise<void> {
    const isAdopted = () =>
      cluster.nodes.some(({ kit, isAlive }) => isAlive && kit.door.sessions.get(desk.address)) &&
      cluster.nodes.every(({ router }) => router.stats().adopting === 0);
    await pass(isAdopted, "her desk goes on");
  }
  /** What it is given when it comes back. @param h what it has had */
  async function back(h: number, last: string): Promise<readonly (string | undefined)[]> {
    const { client, answer } = await cluster.resume(3, "juliet", desk.id, h);
    expect(answer).toContain("<resumed");
    let isOver = false;
    // Who is given what is stored meanwhile may acknowledge nothing.
    void pass(() => isOver, "her desk is given it");
    try {
      return ids(await client.read(`${last}</body>`));
    } finally {
      isOver = true;
    }
  }
  /** What her desk is given within some seconds, where it is. */
  async function later(last: string): Promise<readonly (string | undefined)[]> {
    for (let seconds = 0; seconds < 5; seconds += 1) {
      clock.advance(1_000);
      await cluster.settle();
    }
    return ids(await desk.client.read(`${last}</body>`));
  }
  return { cluster, desk, phone, romeo, say, heard, over, back, later };
}

test("what is for all of them reaches the others at once, and that one when it is back", async () => {
  const { cluster, say, heard, over, back } = await balcony();
  await using _ = cluster;
  cluster.kill(0);
  say(JULIET, "m1");
  say(JULIET, "m2");
  expect(await heard("m2")).toEqual(["m1", "m2"]);
  cluster.expire(0);
  await over();
  say(JULIET, "m3");
  expect(await heard("m3")).toEqual(["m3"]);
  expect(await back(2, "m3")).toEqual(["m1", "m2", "m3"]);
});

test("what is for that one alone is given to the others, and to it when it is back", async () => {
  const { cluster, desk, say, heard, over, back } = await balcony();
  await using _ = cluster;
  cluster.kill(0);
  say(desk.address, "m1");
  expect(await heard("m1")).toEqual(["m1"]);
  cluster.expire(0);
  await over();
  say(JULIET, "m2");
  expect(await heard("m2")).toEqual(["m2"]);
  expect(await back(2, "m2")).toEqual(["m1", "m2"]);
});

test("a node that knows of its death before any other takes it over loses nothing for it", async () => {
  const { cluster, say, heard, over, back } = await balcony();
  await using _ = cluster;
  cluster.kill(0);
  // As a node that has nothing about her in memory, and finds no route of her desk any more.
  cluster.expire(0, [cluster.node(2)]);
  say(JULIET, "m1");
  expect(await heard("m1")).toEqual(["m1"]);
  cluster.expire(0, [cluster.node(1), cluster.node(3)]);
  await over();
  expect(await back(2, "m1")).toEqual(["m1"]);
});

test("what came for another device, or from it, is copied to that one when it is back", async () => {
  const { cluster, desk, phone, romeo, say, heard, over, back } = await balcony();
  await using _ = cluster;
  desk.client.send(CARBONS);
  await desk.client.read(/<iq [^>]*id='c'[^>]*>/);
  cluster.kill(0);
  cluster.expire(0, [cluster.node(1), cluster.node(2)]);
  say(phone.address, "m1");
  expect(await heard("m1")).toEqual(["m1"]);
  phone.client.send(message(romeo.address, "m2"));
  await romeo.client.read("m2</body>");
  cluster.expire(0, [cluster.node(3)]);
  await over();
  say(JULIET, "m3");
  expect((await back(4, "m3")).toSorted()).toEqual(["m1", "m2", "m3"]);
});

test("what reaches all who are known costs no look at the routes while others may be taken over", async () => {
  const { cluster, phone, romeo, say, heard } = await balcony();
  await using _ = cluster;
  phone.client.send(CARBONS);
  await phone.client.read(/<iq [^>]*id='c'[^>]*>/);
  cluster.kill(0);
  cluster.expire(0);
  const reread = () => cluster.nodes.map(({ router }) => router.counters.routesReread);
  const before = reread();
  say(JULIET, "m1");
  expect(await heard("m1")).toEqual(["m1"]);
  phone.client.send(message(romeo.address, "m2"));
  await romeo.client.read("m2</body>");
  await cluster.settle();
  expect(reread()).toEqual(before);
});

test("what is stored because all of her devices were on that node goes to each of them", async () => {
  const { cluster, phone, romeo, over, say, back } = await balcony();
  await using _ = cluster;
  const tablet = await cluster.online(0, "juliet", "tablet");
  phone.client.send("<presence type='unavailable'/></stream:stream>");
  await phone.client.read("</stream:stream>");
  cluster.kill(0);
  say(JULIET, "m1");
  romeo.client.send("<r xmlns='urn:xmpp:sm:3'/>");
  expect(await romeo.client.read(/<a [^>]*>/)).toContain("h='2'");
  cluster.expire(0);
  await over();
  const again = await cluster.resume(2, "juliet", tablet.id, 1);
  expect(again.answer).toContain("<resumed");
  expect(ids(await again.client.read("m1</body>"))).toEqual(["m1"]);
  expect(await back(2, "m1")).toEqual(["m1"]);
});

test("who comes back without the session it had is given nothing twice", async () => {
  const { cluster, say, heard, over } = await balcony();
  await using _ = cluster;
  cluster.kill(0);
  say(JULIET, "m1");
  expect(await heard("m1")).toEqual(["m1"]);
  cluster.expire(0);
  await over();
  await cluster.online(3, "juliet", "desk");
  await cluster.settle();
  say(JULIET, "m2");
  expect(await heard("m2")).toEqual(["m2"]);
});

test("whose node cannot be reached is given what the others got as soon as it can be", async () => {
  const { cluster, desk, say, heard, later } = await balcony();
  await using _ = cluster;
  const { mesh } = cluster.node(2);
  const request = mesh.request.bind(mesh);
  mesh.request = (peer, ...frame) =>
    peer === "node-1"
      ? Promise.reject(new Unavailable("mesh-down", "Cannot reach node: the test says so"))
      : request(peer, ...frame);
  say(JULIET, "m1");
  say(desk.address, "m2");
  expect(await heard("m2")).toEqual(["m1", "m2"]);
  mesh.request = request;
  say(JULIET, "m3");
  expect(await heard("m3")).toEqual(["m3"]);
  expect(await later("m3")).toEqual(["m1", "m2", "m3"]);
});

test("whose node has only lost its lease is given what the others got when it is back", async () => {
  const { cluster, say, heard, later } = await balcony();
  await using _ = cluster;
  const { routes, router } = cluster.node(2);
  routes.forget("node-1");
  router.onNodeLapsed(record("node-1"));
  say(JULIET, "m1");
  expect(await heard("m1")).toEqual(["m1"]);
  routes.nodes.set("node-1", record("node-1"));
  router.onNodeBack(record("node-1"));
  expect(await later("m1")).toEqual(["m1"]);
});
