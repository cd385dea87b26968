/** BOSH over a network that loses connections: everything arrives once, in order, both ways. */
import { expect, test } from "vitest";
import type { BoshClient } from "./testing/bosh-client.ts";
import { bodyOf, message, until } from "./testing/door-kit.ts";
import { openWebKit } from "./testing/web-kit.ts";

const ROUNDS = 120;

/** Always the same choices for the same seed. */
function choices(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Sends a body until it is answered; connections break before, while and after it is read. */
async function stubborn(
  client: BoshClient,
  content: string,
  random: () => number,
): Promise<{ readonly answer: string; readonly tries: number }> {
  client.rid += 1;
  const body = client.bodyAt(client.rid, content);
  for (let tries = 1; ; tries += 1) {
    const breaking = new AbortController();
    const isBroken = random() < 0.4 && tries < 10;
    const answer = client
      .fetch({ body, headers: { "content-type": "text/xml" }, signal: breaking.signal })
      .then((response) => response.text());
    if (isBroken) {
      for (let turns = random() * 12; turns > 0; turns -= 1) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      breaking.abort();
    }
    try {
      return { answer: await answer, tries };
    } catch {
      if (!isBroken) throw new Error("Cannot go on: the server broke the connection");
    }
  }
}

test.each([1, 2, 3])("connections that break lose and repeat nothing (seed %i)", async (seed) => {
  await using web = await openWebKit();
  const random = choices(seed);
  const client = web.bosh();
  await client.logIn();
  const session = web.kit.router.bound[0]?.session;
  const heard: string[] = [];
  let broken = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const said = `<message xmlns='jabber:client'><body>c${round}</body></message>`;
    const answered = stubborn(client, said, random);
    for (let turns = random() * 8; turns > 0; turns -= 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(session?.deliver(message(`s${round}`))).toBe(true);
    const { answer, tries } = await answered;
    heard.push(...[...answer.matchAll(/<body>(s\d+)<\/body>/g)].map(([, body]) => body as string));
    broken += tries - 1;
  }
  const order = Array.from({ length: ROUNDS }, (_, round) => round);
  expect(web.kit.router.stanzas.map((stanza) => stanza.element().getChildText("body"))).toEqual(
    order.map((round) => `c${round}`),
  );
  expect(heard).toEqual(order.map((round) => `s${round}`));
  expect(broken).toBeGreaterThan(10);
  expect(await client.post("", "type='terminate'")).toContain("type='terminate'");
  await until(() => web.kit.router.ended.length === 1, "the session ends");
  expect(web.kit.router.ended[0]?.unacknowledged.map(bodyOf)).toEqual([]);
  expect(web.kit.complaints).toEqual([]);
});
