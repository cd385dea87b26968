/** A dialogue must fail when the server is wrong: here it is a server that says what it is told. */
import { createServer, type Server } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { parseDialogue } from "./dialogue-parser.ts";
import { runDialogue } from "./dialogue-runner.ts";

const NAMES = "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'";
const OPENING = `<stream:stream ${NAMES} id='1' version='1.0'><stream:features/>`;
const SHUTDOWN = "<system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>";
const HEAD = "Title\nspecification: none\n\nguest connects\n";

let server: Server;

/** Runs the steps against a server that says these words after its features. */
async function run(
  steps: string,
  words: string,
  andEnds = false,
  deadlineMs = 20_000,
): Promise<void> {
  server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.write(OPENING + words);
    if (andEnds) socket.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const dialogue = parseDialogue("x.dialogue", HEAD + steps);
  await runDialogue(dialogue, { domain: "localhost", ports: [port], deadlineMs });
}

afterEach(() => void server.close());

const STANZA = "guest receives\n  <message><body>a</body></message>";
const END = "guest is disconnected with system-shutdown";

describe("a dialogue", () => {
  test("passes when everything comes as it says", async () => {
    const words = `<message><body>a</body></message><stream:error>${SHUTDOWN}</stream:error>`;
    await run(`${STANZA}\n${END}`, `${words}</stream:stream>`, true);
  });

  test("shows the line that failed and what came instead", async () => {
    const failing = run(STANZA, "<message><body>b</body></message>");
    await expect(failing).rejects.toThrow(/x.dialogue:5 fails.*> {3}5 \| guest receives/s);
    await expect(failing).rejects.toThrow(/received: <message.*it is "b", not "a"/s);
    await expect(failing).rejects.toThrow(/On the wire of guest:.*<body>b/s);
  });

  test.each([
    ["nothing comes", STANZA, "", false, /received: nothing/],
    ["the connection ends", STANZA, "", true, /received: the end of the connection/],
    ["the XML is broken", STANZA, "<message><body></message>", false, /not well-formed/],
    ["a comment comes", STANZA, "<!-- -->", false, /a comment/],
    ["bytes are missing", STANZA, "<message><body>a</bo", true, /the end of the connection/],
    ["another stanza comes before", STANZA, "<presence/><message/>", false, /another element/],
    ["no stream error comes", END, "</stream:stream>", true, /expected: a stream error/],
    [
      "the stream is left open after an error",
      END,
      `<stream:error>${SHUTDOWN}</stream:error>`,
      true,
      /expected: <\/stream:stream>/,
    ],
    [
      "the connection is left open after an error",
      END,
      `<stream:error>${SHUTDOWN}</stream:error></stream:stream>`,
      false,
      /expected: end of the connection/,
    ],
    ["it is not offered what it expects", "guest is offered\n  <a/>", "", false, /received/],
  ])("fails when %s", async (_, steps, words, andEnds, message) => {
    await expect(run(steps, words, andEnds, 2_000)).rejects.toThrow(message);
  });
});
