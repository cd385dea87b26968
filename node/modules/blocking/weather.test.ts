/**
 * Whatever happens in whatever order on three nodes: when all is quiet, every session of a user obeys
 * the list that is stored, and a contact sees of the user exactly what the list lets through.
 */
import { expect, test } from "vitest";
import type { TestSession } from "../testing/client.ts";
import type { TestNode } from "../testing/cluster.ts";
import { Cluster, DOMAIN } from "../testing/cluster.ts";

const ROMEO = `romeo@${DOMAIN}`;
const JULIET = `juliet@${DOMAIN}`;
const NS = "urn:xmpp:blocking";
/** Few: what races at the end is what shows. */
const STEPS = 12;
const SEEDS = Array.from({ length: 100 }, (_, seed) => seed + 1);

interface Place {
  readonly node: TestNode;
  readonly session: TestSession;
}

/** Whether the client sees that resource as available, by what it was sent. */
function sees({ received }: TestSession, full: string): boolean {
  const told = received.filter(({ name, attrs }) => name === "presence" && attrs.from === full);
  return told.length > 0 && told.at(-1)?.attrs.type === undefined;
}

class Story {
  readonly cluster: Cluster;
  readonly romeo: Place[] = [];
  readonly juliet: Place[] = [];

  constructor(seed: number) {
    this.cluster = new Cluster({ nodes: 3, seed, isCalm: false });
    for (const user of [ROMEO, JULIET]) this.cluster.stores.addUser(user);
    this.cluster.stores.befriend(ROMEO, JULIET);
  }

  async login(user: string, index: number): Promise<Place> {
    const node = this.cluster.node(index);
    const login = node.login(`${user}/device${index}`);
    await this.settle();
    const place = { node, session: await login };
    void this.say(place, "<presence/>");
    await this.settle();
    return place;
  }

  say({ node, session }: Place, xml: string): Promise<void> {
    return node.send(session, xml);
  }

  async settle(): Promise<void> {
    await this.cluster.weather.settle();
  }

  /** One thing after the other is begun; nobody waits for any of them. */
  async play(): Promise<void> {
    const { weather } = this.cluster;
    for (let step = 0; step < STEPS; step += 1) {
      const by = weather.pick(this.juliet) as Place;
      const dice = weather.fraction();
      const change = (name: string) =>
        `<iq type='set' id='${step}'><${name} xmlns='${NS}'><item jid='${ROMEO}'/></${name}></iq>`;
      if (dice < 0.25) void this.say(by, change("block"));
      else if (dice < 0.5) void this.say(by, change("unblock"));
      else if (dice < 0.7) void this.say(by, `<presence><status>${step}</status></presence>`);
      else void this.say(weather.pick(this.romeo) as Place, `<presence id='${step}'/>`);
      for (let left = Math.floor(weather.fraction() * 8); left > 0; left -= 1) await weather.step();
    }
    await this.settle();
  }
}

test.each(SEEDS)("all obey the stored list in the end (seed %i)", async (seed) => {
  const story = new Story(seed);
  story.romeo.push(await story.login(ROMEO, 2));
  story.juliet.push(await story.login(JULIET, 0), await story.login(JULIET, 1));
  await story.play();
  const { cluster, romeo, juliet } = story;
  const isBlocked = cluster.stores.documents.get(JULIET)?.has(`blocked ${ROMEO}`) ?? false;
  for (const { session } of juliet) {
    const followed = session.state.get("blocking") as { list: { has(address: string): boolean } };
    expect(followed.list.has(ROMEO)).toBe(isBlocked);
    for (const one of romeo) expect(sees(one.session, session.jid.full)).toBe(!isBlocked);
    if (!isBlocked) expect(sees(session, `${ROMEO}/device2`)).toBe(true);
  }
  // And a message goes where the list says.
  const [from] = romeo as [Place];
  void story.say(from, `<message to='${JULIET}' type='chat' id='last'><body>hi</body></message>`);
  await story.settle();
  for (const { session } of juliet) {
    const got = session.received.some(({ attrs }) => attrs.id === "last");
    expect(got).toBe(!isBlocked);
  }
});
