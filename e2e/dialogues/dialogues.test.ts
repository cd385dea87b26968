/** Runs every dialogue against one node on the embedded store, and against a cluster of three. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import { readDialogues } from "../harness/dialogue-files.ts";
import { runDialogue } from "../harness/dialogue-runner.ts";
import type { DialogueServer } from "../harness/dialogue-scene.ts";
import type { NodeProcess } from "../harness/node-process.ts";
import { startNodeProcess } from "../harness/node-process.ts";
import { freePort } from "../harness/ports.ts";
import type { Cluster } from "../harness/start-cluster.ts";
import { startCluster } from "../harness/start-cluster.ts";
import { subscriptionDialogues } from "./subscription-states.ts";

const NODES = 3;
const config = (name: string) => path.join(import.meta.dirname, "..", "load", `${name}.yaml`);
const dialogues = await readDialogues(import.meta.dirname);

describe.concurrent("on one node", () => {
  let data: string;
  let node: NodeProcess;
  let server: DialogueServer;

  beforeAll(async () => {
    data = await mkdtemp(path.join(tmpdir(), "zonda-dialogues-"));
    const directTlsPort = await freePort();
    const sets = [`data=${data}`, "c2s.port=0", `c2s.directTls.port=${directTlsPort}`];
    node = await startNodeProcess({
      config: config("node"),
      sets: [...sets, "http.port=0", "log.format=json"],
    });
    server = { domain: "localhost", ports: [node.c2s], directTlsPort };
  });

  afterAll(async () => {
    await node[Symbol.asyncDispose]();
    await rm(data, { recursive: true });
  });

  // How they come into a state is waited for on one node alone: a stream may end before its stanzas are everywhere.
  for (const dialogue of [...dialogues, ...subscriptionDialogues]) {
    test(`${dialogue.file}: ${dialogue.title}`, () => runDialogue(dialogue, server));
  }
});

describe.concurrent(`on ${NODES} nodes`, () => {
  let cluster: Cluster;
  let server: DialogueServer;

  beforeAll(async () => {
    cluster = await startCluster({ nodes: NODES, config: config("cluster") });
    server = { domain: "localhost", ports: cluster.nodes.map(({ c2s }) => c2s) };
  });

  afterAll(() => cluster.stop());

  // A cluster on one machine gives every node another port; one for direct TLS is not among them.
  for (const dialogue of dialogues.filter(({ needs }) => needs.length === 0)) {
    test(`${dialogue.file}: ${dialogue.title}`, () => runDialogue(dialogue, server));
  }
});
