/**
 * What a question to another node costs, by how many are asked of it in the same turn of the event loop: two ends of
 * the mesh in one process, whose time is that of both.
 */
import { FrameKind } from "../../node/mesh/contract.ts";
import type { CountedMesh } from "../../node/mesh/mesh.ts";
import { introduce, NOTHING, startMesh } from "../../node/mesh/testing/cluster.ts";
import {
  decodeMissed,
  decodeMissedQuery,
  encodeMissed,
  encodeMissedQuery,
} from "../../node/router/frames.ts";
import { cpuMs } from "../bench/usage.ts";
import { DOMAIN } from "../harness/peers/contract.ts";
import type { Figures } from "./figures.ts";

const IN_A_TURN = [1, 4, 16, 64];
const OTHER = "node-2-0123456789abcdef";
/** What whoever takes over the sessions of a dead node asks of each. */
const QUERY = {
  route: {
    ...{ user: `user-12345@${DOMAIN}`, resource: "phone.0123456789", available: true, priority: 0 },
    ...{ node: "node-1-0123456789abcdef", session: "0123456789abcdefghij" },
  },
  owner: "node-3-0123456789abcdef",
};

export async function questions(count: number, figures: Figures): Promise<void> {
  await using asking = await startMesh("node-1-0123456789abcdef", () => NOTHING);
  await using asked = await startMesh(OTHER, (_from, _kind, payload) => {
    decodeMissedQuery(payload);
    return encodeMissed([]);
  });
  introduce(asking, OTHER, asked.port);
  await ask(asking, count, 16); // Compiled, and connected.
  for (const inATurn of IN_A_TURN) {
    const before = cpuMs(process);
    await ask(asking, count, inATurn);
    const used = cpuMs(process) - before;
    figures.put("Question, CPU µs of both nodes", `${inATurn} in a turn`, (used * 1_000) / count);
  }
}

async function ask(mesh: CountedMesh, count: number, inATurn: number): Promise<void> {
  for (let left = count; left > 0; left -= inATurn) {
    const payloads = Array.from({ length: inATurn }, () => encodeMissedQuery(QUERY));
    const answers = payloads.map((payload) => mesh.request(OTHER, FrameKind.missed, payload));
    for (const answer of await Promise.all(answers)) decodeMissed(answer);
  }
}
