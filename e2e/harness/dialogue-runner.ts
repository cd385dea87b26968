/** Runs a dialogue against a server: does its steps in order and stops at the first that fails. */
import type { Element } from "ltx";
import type { DialogueClient } from "./dialogue-client.ts";
import { makeContacts } from "./dialogue-contacts.ts";
import { compareStanza, fillIn } from "./dialogue-expect.ts";
import type { Arrival } from "./dialogue-inbox.ts";
import { describeArrival } from "./dialogue-inbox.ts";
import type { Action, Dialogue, Step } from "./dialogue-parser.ts";
import { clientName, withoutRepeats } from "./dialogue-parser.ts";
import { elementsOf } from "./dialogue-reader.ts";
import type { DialogueServer } from "./dialogue-scene.ts";
import { Scene } from "./dialogue-scene.ts";

const LINES_AROUND = 6;

/** @throws Error that shows the dialogue, the line that failed and what arrived instead */
export async function runDialogue(dialogue: Dialogue, server: DialogueServer): Promise<void> {
  const scene = new Scene(dialogue, server);
  let at: Step | undefined;
  try {
    await scene.register();
    for (const step of dialogue.steps) {
      at = step;
      await runStep(scene, step);
    }
  } catch (error) {
    throw new Error(report(dialogue, at, scene, error as Error), { cause: error });
  } finally {
    scene.cutAll();
  }
}

async function runStep(scene: Scene, { who, action }: Step): Promise<void> {
  if (action.kind === "contacts") return makeContacts(scene, who);
  for (const name of who) {
    if (action.kind === "new-password") scene.setPassword(name, action.password);
    else await act(scene, scene.client(name), action);
  }
}

async function act(scene: Scene, client: DialogueClient, action: Action): Promise<void> {
  switch (action.kind) {
    case "dial":
      return client.dial(scene.portOf(client), false);
    case "dial-tls":
      return client.dial(scene.server.directTlsPort as number, true);
    case "open-stream":
      return client.openStream();
    case "connect":
      return scene.connect(client);
    case "start-tls":
      return client.startTls();
    case "authenticate":
    case "refused":
      return authenticate(scene, client, action);
    case "authenticate-at-once":
      return authenticateAtOnce(scene, client, action);
    case "bind":
      return scene.bind(client);
    case "log-in":
      return scene.logIn(client);
    case "come-online":
      await scene.logIn(client);
      return scene.announce(client, action.priority);
    case "fetch-roster":
      return fetchRoster(client);
    case "send":
      return send(scene, client, action);
    case "receive":
      return receive(scene, client, action);
    case "receive-nothing":
      return receiveNothing(scene, client);
    case "offered":
      return checkOffers(client, action);
    case "disconnected":
      return expectEnd(client, action.condition);
    case "close":
      return scene.close(client);
    case "cut":
      return client.cut();
    case "contacts":
    case "new-password":
      throw new Error("Cannot do this as a client");
    default:
      return action satisfies never;
  }
}

type ActionOf<K extends Action["kind"]> = Extract<Action, { kind: K }>;

async function authenticate(
  scene: Scene,
  client: DialogueClient,
  action: ActionOf<"authenticate"> | ActionOf<"refused">,
): Promise<void> {
  const mechanism = action.mechanism ?? scene.mechanism;
  const failure = await client.authenticate(mechanism, scene.loginOf(client));
  const expected = action.kind === "refused" ? action.condition : undefined;
  if (failure === expected) return;
  throw new Error(`the login ended with ${failure ?? "success"}, not ${expected ?? "success"}`);
}

async function authenticateAtOnce(
  scene: Scene,
  client: DialogueClient,
  { mechanism, text }: ActionOf<"authenticate-at-once">,
): Promise<void> {
  const extensions = fillIn(text, scene.bindings, escapeXml);
  const { user } = clientName(client.name);
  const token = scene.tokens.get(user) ?? "";
  const means = mechanism === "token" ? { token } : (mechanism ?? scene.mechanism);
  const given = await client.authenticateAtOnce(means, scene.loginOf(client), extensions);
  if (given !== undefined) scene.tokens.set(user, given);
}

async function fetchRoster(client: DialogueClient): Promise<void> {
  client.send(`<iq type="get" id="roster"><query xmlns="jabber:iq:roster"/></iq>`);
  const answer = await client.receive("stanza");
  if (answer.attrs.type === "result" && answer.attrs.id === "roster") return;
  throw new Error(`no roster came but ${answer.toString()}`);
}

const XML_ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};
const escapeXml = (value: string) => value.replace(/[&<>"']/g, (sign) => XML_ESCAPES[sign] ?? "");

/** The bytes that a text with escapes stands for, one a character: line ends are left out. */
function toBytes(text: string): string {
  const bytes = Buffer.from(text.replaceAll("\n", ""), "utf8").toString("latin1");
  return bytes
    .replace(/\\x([0-9a-f]{2})/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    .replaceAll("\\n", "\n");
}

function send(scene: Scene, client: DialogueClient, { text, asBytes }: ActionOf<"send">): void {
  const filled = fillIn(withoutRepeats(text), scene.bindings, escapeXml);
  if (asBytes) client.send(toBytes(filled), "latin1");
  else client.send(filled);
}

async function receive(
  scene: Scene,
  client: DialogueClient,
  { stanzas, anyOrder }: ActionOf<"receive">,
): Promise<void> {
  let missing: readonly Element[] = stanzas;
  while (missing.length > 0) {
    const arrival = await client.next();
    const candidates = anyOrder ? missing : missing.slice(0, 1);
    if (arrival?.kind !== "stanza") throw unexpected(candidates, describeArrival(arrival), []);
    const reasons: string[] = [];
    const found = candidates.find((candidate) => {
      const verdict = compareStanza(candidate, arrival.element, scene.bindings);
      if (verdict.kind === "match") scene.bindings = verdict.bindings;
      else reasons.push(verdict.why);
      return verdict.kind === "match";
    });
    if (found === undefined && isForgiven(scene, client, arrival)) continue;
    if (found === undefined) throw unexpected(candidates, describeArrival(arrival), reasons);
    missing = missing.filter((stanza) => stanza !== found);
  }
}

/**
 * Between nodes a contact's presence may come twice: as its broadcast, and as the answer to the
 * probe that crossed it (RFC 6121, 4.2.2 and 4.3.2). It says the same both times.
 */
const isForgiven = ({ server }: Scene, client: DialogueClient, arrival: Arrival): boolean =>
  server.ports.length > 1 && arrival.kind === "stanza" && client.repeats.has(arrival.element);

const unexpected = (wanted: readonly Element[], got: string, reasons: readonly string[]): Error =>
  new Error(
    [
      ...wanted.map((stanza) => `expected: ${stanza.toString()}`),
      `received: ${got}`,
      ...reasons.map((reason) => `because:  ${reason}`),
    ].join("\n"),
  );

async function receiveNothing(scene: Scene, client: DialogueClient): Promise<void> {
  await scene.settle(client);
  const arrivals = client.inbox.waiting.filter((arrival) => !isForgiven(scene, client, arrival));
  if (arrivals.length === 0) return;
  throw new Error(`received: ${arrivals.map(describeArrival).join("\nreceived: ")}`);
}

function checkOffers(client: DialogueClient, { elements, isThere }: ActionOf<"offered">): void {
  const { features } = client;
  if (features === undefined) throw new Error("no stream is open");
  for (const element of elements) {
    const isOffered = elementsOf(features).some(
      (offer) => compareStanza(element, offer, new Map()).kind === "match",
    );
    if (isOffered !== isThere) throw new Error(`received: ${features.toString()}`);
  }
}

/** The server ends the stream, with an error if one is told, and then the connection. */
async function expectEnd(client: DialogueClient, condition: string | undefined): Promise<void> {
  let arrival = await client.next();
  const isOpening = () =>
    arrival?.kind === "header" ||
    (arrival?.kind === "stanza" && arrival.element.name === "stream:features");
  while (isOpening()) arrival = await client.next();
  if (condition !== undefined) {
    const error = arrival?.kind === "stanza" ? arrival.element : undefined;
    if (error?.name !== "stream:error" || elementsOf(error)[0]?.name !== condition) {
      throw new Error(`expected: a stream error\nreceived: ${describeArrival(arrival)}`);
    }
    arrival = await client.next();
  }
  // RFC 6120, section 4.9.1.1: the stream is closed after the error.
  if (arrival?.kind !== "stream-end") {
    throw new Error(`expected: </stream:stream>\nreceived: ${describeArrival(arrival)}`);
  }
  arrival = await client.next();
  client.jid = undefined;
  if (arrival?.kind === "disconnected") return;
  throw new Error(`expected: end of the connection\nreceived: ${describeArrival(arrival)}`);
}

function report(dialogue: Dialogue, step: Step | undefined, scene: Scene, error: Error): string {
  const { file, lines, title, specification } = dialogue;
  const at = step?.line ?? 1;
  const shown = lines.slice(0, lines.length).flatMap((text, index) => {
    const number = index + 1;
    if (number < at - LINES_AROUND || number > at + LINES_AROUND) return [];
    return [`${number === at ? ">" : " "} ${String(number).padStart(3)} | ${text}`];
  });
  const clients = (step?.who ?? []).map((name) => scene.clients.get(name));
  const wire = clients.flatMap((client) =>
    client === undefined ? [] : [`On the wire of ${client.name}:`, ...client.transcript],
  );
  const head = `${file}:${at} fails: ${title} (${specification})`;
  return [head, ...shown, error.message, ...wire].join("\n");
}
