/** Makes two users of a dialogue see each other's presence, before it begins. */
import type { DialogueClient } from "./dialogue-client.ts";
import type { Scene } from "./dialogue-scene.ts";

const bare = (client: DialogueClient): string => (client.jid as string).split("/")[0] as string;

async function presenceOf(client: DialogueClient, type: string, from: string): Promise<void> {
  for (;;) {
    const { name, attrs } = await client.receive("stanza");
    const sender = String(attrs.from).split("/")[0];
    if (name === "presence" && attrs.type === type && sender === from) return;
  }
}

/** One asks and the other approves (RFC 6121, section 3.1). */
async function subscribe(user: DialogueClient, contact: DialogueClient): Promise<void> {
  user.send(`<presence type="subscribe" to="${bare(contact)}"/>`);
  await presenceOf(contact, "subscribe", bare(user));
  contact.send(`<presence type="subscribed" to="${bare(user)}"/>`);
  await presenceOf(user, "subscribed", bare(contact));
}

/** Subscribes two users to each other with clients of their own, which then go. */
export async function makeContacts(scene: Scene, users: readonly string[]): Promise<void> {
  const names = users.map((user) => `${user}/preparation`);
  const [first, second] = names.map((name) => scene.client(name));
  if (first === undefined || second === undefined) throw new Error("Cannot pair fewer than two");
  for (const client of [first, second]) {
    await scene.logIn(client);
    client.send(`<iq type="get" id="roster"><query xmlns="jabber:iq:roster"/></iq>`);
    await client.receive("stanza");
    await scene.announce(client);
  }
  await subscribe(first, second);
  await subscribe(second, first);
  second.send(`<presence type="unavailable"/>`);
  await presenceOf(first, "unavailable", bare(second));
  first.send(`<presence type="unavailable"/>`);
  for (const client of [first, second]) await scene.ping(client);
  for (const client of [first, second]) await scene.close(client);
  for (const name of names) scene.clients.delete(name);
}
