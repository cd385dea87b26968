/** An @xmpp/client driven by JSON lines: see contract.ts for the commands and events. */
import { createInterface } from "node:readline";
import { client, type Element, xml } from "@xmpp/client";
import type { ClientConfig, Command, MessageCommand } from "./contract.ts";

const config = JSON.parse(process.argv[2] as string) as ClientConfig;
const [local, domain] = config.address.split("@") as [string, string];
const RECONNECT_MS = 300;
const SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
const SASL2 = "urn:xmpp:sasl:2";

const emit = (event: string, fields: object = {}): void =>
  void process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);

let nextHost = 0;
const service = (): string => {
  const { host, port } = config.hosts[nextHost++ % config.hosts.length] as {
    host: string;
    port: number;
  };
  return `xmpp://${host}:${port}`;
};

// In a variable: the package's types do not know `timeout`, its code does. Its own is two seconds.
const options = { service: service(), domain, username: local, timeout: 30_000 };
const xmpp = client({ ...options, password: config.password });
xmpp.reconnect.delay = RECONNECT_MS;
const sm = xmpp.streamManagement;
let isOnline = false;
const unsent: MessageCommand[] = [];
/** In what order messages were asked for, by id. */
const places = new Map<string, number>();

const send = (stanza: Element): void => void xmpp.send(stanza).catch(() => {});
function sendMessage(command: MessageCommand): void {
  const { to, id, body } = command;
  xmpp.send(xml("message", { to, id, type: "chat" }, xml("body", {}, body))).catch(() => {
    // Refused while the stream closes, it is in no queue of the library's; a broken write is.
    const isQueued = sm.outbound_q.some(({ stanza }) => stanza.attrs.id === id);
    if (!isQueued && !unsent.some((one) => one.id === id)) keep(command);
  });
}

/** A write may turn out to have failed when later ones are kept already. */
function keep(command: MessageCommand): void {
  unsent.push(command);
  unsent.sort((one, other) => (places.get(one.id) ?? 0) - (places.get(other.id) ?? 0));
}

/**
 * COMPAT(@xmpp/client 0.14): its own way to ask swallows the answer before it is counted, so that
 * every later `h` is too low by one and the server sends again, after a resumption, what was there.
 */
const answers = new Map<string, (answer: Element) => void>();
function ask(child: Element, to?: string): Promise<Element> {
  const id = `ask-${++asks}`;
  return new Promise((resolve) => {
    answers.set(id, resolve);
    send(xml("iq", to === undefined ? { type: "get", id } : { type: "get", id, to }, child));
  });
}
let asks = 0;

/**
 * COMPAT(@xmpp/client 0.14): it sets its count of received stanzas to zero some turns after it has
 * read `<enabled/>`. A stanza that came right behind is then missing from every later `h`.
 */
async function untilCounting(): Promise<void> {
  while (!sm.enabled && xmpp.status === "online") await new Promise(setImmediate);
}

xmpp.on("error", (error: Error) => emit("error", { reason: error.message }));
let mechanism = "";
xmpp.on("send", (element: Element) => {
  if (element.is("authenticate", SASL2) || element.is("auth", SASL)) {
    mechanism = element.attrs.mechanism;
  }
});
xmpp.on("element", (element: Element) => {
  const isSuccess = element.is("success", SASL2) || element.is("success", SASL);
  if (isSuccess) emit("authenticated", { mechanism });
});
xmpp.on("online", (address: { toString(): string }) => {
  void (async () => {
    await untilCounting();
    const roster = await ask(xml("query", { xmlns: "jabber:iq:roster" }));
    emitRoster(roster);
    // Initial presence first: the server may have messages waiting that are older than ours.
    await xmpp.send(xml("presence"));
    isOnline = true;
    emit("online", { address: address.toString() });
    for (const fields of unsent.splice(0)) sendMessage(fields);
  })().catch((error: Error) => emit("error", { reason: error.message }));
});
xmpp.on("disconnect", () => {
  if (isOnline) emit("offline", { reason: "disconnect" });
  isOnline = false;
  if (sm.id === "") {
    for (const { stanza } of sm.outbound_q.splice(0)) sendLater(stanza);
    sm.outbound = 0;
  }
  xmpp.options.service = service();
});
// The library resumes by itself, and sends again what the server had not handled.
sm.on("resumed", () => {
  isOnline = true;
  emit("resumed");
  for (const fields of unsent.splice(0)) sendMessage(fields);
});
sm.on("fail", (stanza: Element) => sendLater(stanza));

/** Not resumable: what the server did not acknowledge is ours to send again. */
function sendLater(stanza: Element): void {
  const body = stanza.getChildText("body");
  if (!stanza.is("message") || !body) return;
  const { to, id } = stanza.attrs;
  keep({ do: "message", to, id, body });
  emit("resent", { id });
}

sm.on("ack", (stanza: Element) => {
  if (stanza.is("message")) emit("acked", { id: stanza.attrs.id });
});
xmpp.on("stanza", (stanza: Element) => {
  const sender = stanza.attrs.from;
  const isAnswer = stanza.is("iq") && stanza.attrs.type !== "set" && stanza.attrs.type !== "get";
  if (isAnswer) takeAnswer(stanza);
  else if (stanza.is("message")) onMessage(stanza, sender);
  else if (stanza.is("presence")) onPresence(stanza, sender);
  else if (stanza.attrs.type === "set") emitRoster(stanza);
});

function takeAnswer(stanza: Element): void {
  answers.get(stanza.attrs.id)?.(stanza);
  answers.delete(stanza.attrs.id);
}

function onMessage(stanza: Element, sender: string): void {
  const { id, type } = stanza.attrs;
  const body = stanza.getChildText("body");
  if (type === "error") emit("bounced", { id, condition: conditionOf(stanza) });
  else if (body) emit("message", { sender, id, body, delayed: Boolean(stanza.getChild("delay")) });
}

const conditionOf = (stanza: Element): string => {
  const condition = stanza.getChild("error")?.children[0];
  return typeof condition === "object" ? condition.name : "";
};

function onPresence(stanza: Element, sender: string): void {
  const type = stanza.attrs.type ?? "available";
  emit("presence", { sender, type });
  if (type !== "subscribe") return;
  // Accept, and ask back once.
  send(xml("presence", { to: sender, type: "subscribed" }));
  if (!asked.has(sender)) subscribe(sender);
}

const asked = new Set<string>();
function subscribe(to: string): void {
  asked.add(to);
  send(xml("presence", { to, type: "subscribe" }));
}

function emitRoster(carrier: Element): void {
  const query = carrier.is("query") ? carrier : carrier.getChild("query", "jabber:iq:roster");
  const items: Record<string, string> = {};
  for (const item of query?.getChildren("item") ?? []) {
    items[item.attrs.jid] = item.attrs.subscription;
  }
  emit("roster", { items });
}

async function run(command: Command): Promise<void> {
  switch (command.do) {
    case "message":
      places.set(command.id, places.size);
      if (isOnline) sendMessage(command);
      else keep(command);
      return;
    case "subscribe":
      return subscribe(command.to);
    case "presence":
      return send(xml("presence", command.type === undefined ? {} : { type: command.type }));
    case "ack":
      return send(xml("r", { xmlns: "urn:xmpp:sm:3" }));
    case "drop":
      return void xmpp.socket?.socket.destroy();
    case "ping": {
      const started = performance.now();
      await ask(xml("ping", { xmlns: "urn:xmpp:ping" }), command.to);
      return emit("pong", { seconds: (performance.now() - started) / 1000 });
    }
    case "close":
      xmpp.reconnect.stop();
      await xmpp.stop();
      process.exit(0);
  }
}

async function start(): Promise<void> {
  for (;;) {
    try {
      await xmpp.start();
      return;
    } catch (error) {
      // The library reconnects by itself only after a first success.
      if (xmpp.status === "online") return;
      emit("connection-failed", { reason: (error as Error).message });
      if ((error as { condition?: string }).condition === "not-authorized") emit("refused");
      await xmpp.stop().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
    }
  }
}

createInterface({ input: process.stdin }).on("line", (line) => {
  void run(JSON.parse(line) as Command).catch((error: Error) =>
    emit("error", { reason: error.message }),
  );
});
await start();
