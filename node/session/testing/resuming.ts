/** Clients of XEP-0198 that lose their connection and come back. */
import type { ClientSession } from "../contract.ts";
import type { Kit } from "./door-kit.ts";
import { logIn, until } from "./door-kit.ts";
import type { RawClient } from "./raw-client.ts";

export const ACKS = "urn:xmpp:sm:3";

/** A client whose session can be resumed. */
export async function resumable(kit: Kit, resource = "orchard", max = "") {
  const { client, session } = await kit.bound(resource);
  client.send(`<enable xmlns='${ACKS}' resume='true'${max}/>`);
  const enabled = await client.read(/<enabled[^>]*>/);
  return { client, session, enabled };
}

/** One that has lost its connection. */
export async function detached(
  kit: Kit,
  prepare?: (client: RawClient, session: ClientSession) => unknown,
) {
  const { client, session } = await resumable(kit);
  await prepare?.(client, session);
  client.destroy();
  await until(() => session.isDetached === true, "detached");
  return session;
}

export async function authenticated(kit: Kit, user = "romeo"): Promise<RawClient> {
  const client = await kit.connect();
  await logIn(client, user);
  return client;
}

export const resumeText = (previd: string, h: number | string) =>
  `<resume xmlns='${ACKS}' previd='${previd}' h='${h}'/>`;

export async function resume(kit: Kit, { id }: ClientSession, h: number): Promise<RawClient> {
  const client = await authenticated(kit);
  client.send(resumeText(id, h));
  await client.read(/<resumed[^>]*>/);
  return client;
}
