/**
 * Runs the dialogues that are not about TCP itself once more, over WebSocket and over BOSH: nobody
 * above the transport may be able to tell.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readDialogues } from "../harness/dialogue-files.ts";
import type { Action, Dialogue } from "../harness/dialogue-parser.ts";
import { withoutRepeats } from "../harness/dialogue-parser.ts";
import { readStanzas } from "../harness/dialogue-reader.ts";
import { runDialogue } from "../harness/dialogue-runner.ts";
import type { Via } from "../harness/dialogue-wire.ts";
import type { NodeProcess } from "../harness/node-process.ts";
import { startNodeProcess } from "../harness/node-process.ts";

const dialogues = await readDialogues(import.meta.dirname);

const ABOUT_TCP = new Set<Action["kind"]>(["dial", "dial-tls", "open-stream", "start-tls"]);

/** Over BOSH a body that is too large is refused by HTTP, before it is known whose it is. */
const NOT_OVER_BOSH = new Set(["negotiation/oversize.dialogue"]);

/** Whether what is sent is stanzas at all; broken XML ends each transport in its own way. */
function isStanzas(text: string): boolean {
  try {
    return readStanzas(withoutRepeats(text).replace(/<\/stream:stream>\s*$/, "")).length > 0;
  } catch {
    return false;
  }
}

function isFor(via: Via, { file, steps, needs }: Dialogue): boolean {
  if (needs.length > 0 || (via === "bosh" && NOT_OVER_BOSH.has(file))) return false;
  return steps.every(({ action }) => {
    // Over BOSH a lost connection is nothing yet: the client may come back.
    if (action.kind === "cut") return via !== "bosh";
    if (action.kind === "send") return !action.asBytes && isStanzas(action.text);
    if (action.kind === "offered") {
      return !action.elements.some((element) => element.getName() === "starttls");
    }
    return !ABOUT_TCP.has(action.kind);
  });
}

describe.concurrent.each(["websocket", "bosh"] as const)("over %s", (via) => {
  let data: string;
  let node: NodeProcess;

  beforeAll(async () => {
    data = await mkdtemp(path.join(tmpdir(), "zonda-web-dialogues-"));
    const sets = [`data=${data}`, "c2s.port=0", "web.port=0", "web.host=127.0.0.1"];
    node = await startNodeProcess({
      config: path.join(import.meta.dirname, "..", "load", "node.yaml"),
      sets: [...sets, "http.port=0", "log.format=json"],
    });
  });

  afterAll(async () => {
    await node[Symbol.asyncDispose]();
    await rm(data, { recursive: true });
  });

  const chosen = dialogues.filter((dialogue) => isFor(via, dialogue));

  test("most dialogues are among them", () => {
    expect(chosen.length).toBeGreaterThan(dialogues.length / 2);
  });

  for (const dialogue of chosen) {
    test(`${dialogue.file}: ${dialogue.title}`, () =>
      runDialogue(dialogue, { domain: "localhost", ports: [node.web as number], via }));
  }
});
