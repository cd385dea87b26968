/** A real browser: strophe.js in Chromium, over WebSocket and over BOSH, from a page of elsewhere. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { inBrowser } from "../harness/browser.ts";
import { runCommand, startNodeProcess } from "../harness/node-process.ts";

const PASSWORD = "wherefore ärt thou";

const PROGRAM = (web: number) => `
  const { Strophe, $msg, $pres } = globalThis;
  const { links } = await (await fetch("https://localhost:${web}/.well-known/host-meta.json")).json();
  const urlOf = (rel) => links.find((link) => link.rel === "urn:xmpp:alt-connections:" + rel).href;
  const logIn = (url, jid) => new Promise((resolve, reject) => {
    const connection = new Strophe.Connection(url);
    const client = { connection, received: [], isGone: false };
    connection.addHandler((message) => {
      const body = message.getElementsByTagName("body")[0]?.textContent;
      if (body) client.received.push(body);
      return true;
    }, null, "message");
    connection.connect(jid, ${JSON.stringify(PASSWORD)}, (status, why) => {
      if (status === Strophe.Status.CONNECTED) {
        connection.send($pres());
        resolve(client);
      }
      if (status === Strophe.Status.DISCONNECTED) client.isGone = true;
      if (status === Strophe.Status.AUTHFAIL) reject(new Error("refused: " + why));
      if (status === Strophe.Status.CONNFAIL) reject(new Error("failed: " + why));
    });
  });
  const until = async (condition) => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  const romeo = await logIn(urlOf("websocket"), "romeo@localhost/page");
  const juliet = await logIn(urlOf("xbosh"), "juliet@localhost/page");
  const say = (from, to, text) =>
    from.connection.send($msg({ to: to.connection.jid, type: "chat" }).c("body").t(text));
  for (let count = 0; count < 20; count += 1) {
    say(romeo, juliet, "to juliet " + count + " <&> 💘");
    say(juliet, romeo, "to romeo " + count);
  }
  await until(() => romeo.received.length >= 20 && juliet.received.length >= 20);
  for (const { connection } of [romeo, juliet]) connection.disconnect("done");
  await until(() => romeo.isGone && juliet.isGone);
  return {
    jids: [romeo.connection.jid, juliet.connection.jid],
    romeo: romeo.received,
    juliet: juliet.received,
    links: links.map(({ href }) => href),
  };
`;

test("strophe.js finds both ways, logs in over each, and messages arrive in order", async () => {
  const data = await mkdtemp(path.join(tmpdir(), "zonda-browser-node-"));
  const own = ["c2s.port=0", "c2s.host=127.0.0.1", "web.host=127.0.0.1", "web.port=0"];
  const sets = [`data=${data}`, ...own, "http.port=0", "log.format=json"];
  const node = await startNodeProcess({ sets });
  try {
    for (const name of ["romeo", "juliet"]) {
      const add = ["user", "add", `${name}@localhost`, "--set", `data=${data}`];
      const { code, stderr } = await runCommand(add, `${PASSWORD}\n`);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    }
    const strophe = createRequire(import.meta.url).resolve("strophe.js");
    const script = path.join(path.dirname(strophe), "strophe.umd.min.js");
    const told = await inBrowser({
      scripts: { "strophe.js": await readFile(script, "utf8") },
      program: PROGRAM(node.web as number),
    });
    const counts = Array.from({ length: 20 }, (_, count) => count);
    expect(told).toEqual({
      jids: ["romeo@localhost/page", "juliet@localhost/page"],
      romeo: counts.map((count) => `to romeo ${count}`),
      juliet: counts.map((count) => `to juliet ${count} <&> 💘`),
      links: [
        `wss://localhost:${node.web}/xmpp-websocket`,
        `https://localhost:${node.web}/http-bind`,
      ],
    });
  } finally {
    await node[Symbol.asyncDispose]();
    await rm(data, { recursive: true });
  }
});
