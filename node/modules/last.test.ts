import { expect, test } from "vitest";
import { Cluster, DOMAIN } from "./testing/cluster.ts";
import { conditionOf, one, take } from "./testing/read.ts";

const ROMEO = `romeo@${DOMAIN}`;
const JULIET = `juliet@${DOMAIN}`;
const QUERY = "<query xmlns='jabber:iq:last'/>";

async function scene() {
  const cluster = new Cluster({ nodes: 2 });
  for (const user of [ROMEO, JULIET]) cluster.stores.addUser(user);
  cluster.stores.befriend(ROMEO, JULIET);
  const [first, second] = [cluster.node(0), cluster.node(1)];
  const romeo = await first.login(`${ROMEO}/orchard`);
  const juliet = await second.login(`${JULIET}/balcony`);
  const asks = async (to: string) => {
    take(romeo);
    await first.send(romeo, `<iq to='${to}' type='get' id='q'>${QUERY}</iq>`);
    await cluster.settle();
    return one(romeo, "iq");
  };
  return { cluster, second, juliet, asks };
}

test("a contact who is there was there just now; one who left says when and how", async () => {
  const { cluster, second, juliet, asks } = await scene();
  await second.send(juliet, "<presence/>");
  await cluster.settle();
  expect((await asks(JULIET)).getChild("query")?.attrs.seconds).toBe("0");
  await second.send(juliet, "<presence type='unavailable'><status>Good night</status></presence>");
  await cluster.settle();
  cluster.clock.advance(903_000);
  const left = (await asks(JULIET)).getChild("query");
  expect(left?.attrs.seconds).toBe("903");
  expect(left?.text()).toBe("Good night");
  // The connection ends later: the user was gone already.
  await second.drop(juliet);
  await cluster.settle();
  expect((await asks(JULIET)).getChild("query")?.attrs.seconds).toBe("903");
});

test("a connection that breaks counts as leaving", async () => {
  const { cluster, second, juliet, asks } = await scene();
  await second.send(juliet, "<presence/>");
  await cluster.settle();
  await second.drop(juliet);
  await cluster.settle();
  cluster.clock.advance(5_000);
  const left = (await asks(JULIET)).getChild("query");
  expect(left?.attrs.seconds).toBe("5");
  expect(left?.text()).toBe("");
});

test("who was never there is not found, and strangers are told nothing", async () => {
  const { cluster, asks } = await scene();
  expect(conditionOf(await asks(JULIET))).toBe("item-not-found");
  expect(conditionOf(await asks(ROMEO))).toBe("item-not-found");
  cluster.stores.addUser(`tybalt@${DOMAIN}`);
  expect(conditionOf(await asks(`tybalt@${DOMAIN}`))).toBe("forbidden");
});

test("the server says for how long it has been up", async () => {
  const { cluster, asks } = await scene();
  cluster.clock.advance(61_500);
  expect((await asks(DOMAIN)).getChild("query")?.attrs.seconds).toBe("61");
});
