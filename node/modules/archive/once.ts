/**
 * What another node may have archived as well, because its client sent it again, is in the archive once: under
 * the name that it has there already, else under the first of those that nodes gave it at the same moment.
 */

import { CLOCKS_APART_MS, isSameMessage, timeOf } from "../../stores/archive-id.ts";
import type { ArchivedMessage } from "../../stores/contract.ts";
import type { Host } from "../contract.ts";

/** So long before this node named it another may have done so. */
const BEFORE_MS = 3_600_000;
/** More than one user exchanges in that time. */
const NAMES_MAX = 5_000;

type World = Pick<Host, "archive" | "clock">;

/**
 * The names that the message is archived under by now, the first one first.
 * @param id as this node would name it
 */
export async function namesOf(
  { archive, clock }: World,
  user: string,
  id: string,
): Promise<readonly string[]> {
  const nowMs = clock.nowMs();
  const fromMs = Math.min(timeOf(id) ?? nowMs, nowMs) - BEFORE_MS;
  const ids = await archive.ids(user, fromMs, nowMs + CLOCKS_APART_MS, NAMES_MAX);
  return ids.filter((one) => isSameMessage(one, id));
}

/**
 * Of names that were seen beside each other all but the first go, whoever sees them: so the first one stays, and
 * who writes looks afterwards, so that of two who write at once one sees both.
 */
export async function addOnce(
  world: World,
  user: string,
  message: ArchivedMessage,
  keptSeconds: number,
): Promise<void> {
  const { archive } = world;
  const [known] = await namesOf(world, user, message.id);
  await archive.add(user, { ...message, id: known ?? message.id }, keptSeconds);
  const [, ...others] = await namesOf(world, user, message.id);
  if (others.length > 0) await archive.remove(user, message.peer, others);
}
