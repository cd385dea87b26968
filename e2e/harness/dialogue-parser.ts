/** Reads a dialogue. e2e/dialogues/README.md tells its writer what may stand in one. */
import type { Element } from "ltx";
import { fillIn } from "./dialogue-expect.ts";
import { readStanzas } from "./dialogue-reader.ts";
import type { Mechanism } from "./dialogue-sasl.ts";

export type Action =
  | { readonly kind: "dial" | "dial-tls" | "open-stream" | "connect" | "start-tls" }
  /** Without a mechanism: the one that the server under test is known to have. */
  | { readonly kind: "authenticate"; readonly mechanism: Mechanism | undefined }
  | {
      readonly kind: "authenticate-at-once";
      readonly mechanism: Mechanism | "token" | undefined;
      readonly text: string;
    }
  | {
      readonly kind: "refused";
      readonly mechanism: Mechanism | undefined;
      readonly condition: string;
    }
  | { readonly kind: "bind" | "log-in" | "fetch-roster" }
  | { readonly kind: "come-online"; readonly priority: number | undefined }
  | { readonly kind: "send"; readonly text: string; readonly asBytes: boolean }
  | { readonly kind: "receive"; readonly stanzas: readonly Element[]; readonly anyOrder: boolean }
  | { readonly kind: "receive-nothing" }
  | { readonly kind: "offered"; readonly elements: readonly Element[]; readonly isThere: boolean }
  | { readonly kind: "disconnected"; readonly condition: string | undefined }
  | { readonly kind: "close" | "cut" }
  | { readonly kind: "new-password"; readonly password: string }
  | { readonly kind: "contacts" };

export interface Step {
  /** Counted from 1. */
  readonly line: number;
  /** Clients ("romeo/orchard", "guest"), or users for "contacts" and "new-password". */
  readonly who: readonly string[];
  readonly action: Action;
}

/** A client is a user's with a resource, or a stranger without. `#2` tells two alike apart. */
export interface ClientName {
  readonly user: string;
  readonly resource: string | undefined;
}

export interface Dialogue {
  readonly file: string;
  readonly title: string;
  readonly specification: string;
  /** Accounts made for it. */
  readonly users: readonly string[];
  /** Names in whose place an address without an account stands. */
  readonly strangers: readonly string[];
  readonly needs: readonly "direct TLS"[];
  /** Presence of resources of the same account is told, not left out. */
  readonly showsOwnPresence: boolean;
  /** The server's `<r/>` are told, not left out. */
  readonly showsAckRequests: boolean;
  readonly steps: readonly Step[];
  readonly lines: readonly string[];
}

interface Line {
  readonly number: number;
  readonly text: string;
  readonly block: string;
}

const NAME = String.raw`[a-z]+(?:/[^\s,#]+)?(?:#\d+)?`;
const SUBJECTS = new RegExp(`^(${NAME}(?:, ${NAME})*(?: and ${NAME})?) (.+)$`, "u");
const MECHANISMS = "PLAIN|SCRAM-SHA-1|SCRAM-SHA-256|SCRAM-SHA-512";
const MECHANISM = `(?: with (${MECHANISMS}))?`;

const mechanismOf = (word: string | undefined) => word as Mechanism | undefined;

type Reading = (words: readonly (string | undefined)[], block: string) => Action;

const simple = (kind: Extract<Action, { kind: string }>["kind"]): Reading => {
  return () => ({ kind }) as Action;
};

const sent = (asBytes: boolean): Reading => {
  return (_, block) => ({ kind: "send", text: block, asBytes });
};

const received = (anyOrder: boolean): Reading => {
  return (_, block) => ({ kind: "receive", stanzas: readStanzas(block), anyOrder });
};

const offered = (isThere: boolean): Reading => {
  return (_, block) => ({ kind: "offered", elements: readStanzas(block), isThere });
};

/** What a client can do, as it is written; the ones with a block come first. */
const WITH_BLOCK: readonly (readonly [string, Reading])[] = [
  ["sends?", sent(false)],
  ["sends bytes", sent(true)],
  ["receives?", received(false)],
  ["receives? in any order", received(true)],
  ["is offered", offered(true)],
  ["is not offered", offered(false)],
  [
    `authenticates at once(?: with (?:its (token)|(${MECHANISMS})))?, asking for`,
    ([token, mechanism], text) => ({
      kind: "authenticate-at-once",
      mechanism: token === undefined ? mechanismOf(mechanism) : "token",
      text,
    }),
  ],
];

const WITHOUT_BLOCK: readonly (readonly [string, Reading])[] = [
  ["opens a connection", simple("dial")],
  ["opens a direct TLS connection", simple("dial-tls")],
  ["opens a stream", simple("open-stream")],
  ["connects?", simple("connect")],
  ["starts TLS", simple("start-tls")],
  [
    `authenticates${MECHANISM}`,
    ([word]) => ({ kind: "authenticate", mechanism: mechanismOf(word) }),
  ],
  [
    `cannot authenticate${MECHANISM}: ([a-z-]+)`,
    ([word, condition]) => ({
      kind: "refused",
      mechanism: mechanismOf(word),
      condition: condition as string,
    }),
  ],
  ["binds", simple("bind")],
  ["logs? in", simple("log-in")],
  [
    "comes? online(?: with priority (-?\\d+))?",
    ([number]) => ({
      kind: "come-online",
      priority: number === undefined ? undefined : Number(number),
    }),
  ],
  ["fetch(?:es)? the roster", simple("fetch-roster")],
  ["receives? nothing", simple("receive-nothing")],
  [
    "(?:is|are) disconnected(?: with ([a-z-]+))?",
    ([condition]) => ({ kind: "disconnected", condition }),
  ],
  ["closes the stream", simple("close")],
  ["loses the connection", simple("cut")],
  ["are contacts", simple("contacts")],
  ["now has the password (\\S+)", ([word]) => ({ kind: "new-password", password: word as string })],
];

/** The client's parts: "romeo/orchard#2" is romeo's, with the resource orchard. */
export function clientName(name: string): ClientName {
  const [user, ...resource] = name.replace(/#\d+$/, "").split("/");
  return { user: user as string, resource: resource.length > 0 ? resource.join("/") : undefined };
}

function dedent(lines: readonly string[]): string {
  const widths = lines.filter((line) => line.trim() !== "").map((line) => line.search(/\S/));
  const width = Math.min(...widths);
  return lines
    .map((line) => line.slice(width))
    .join("\n")
    .trim();
}

/** Lines that begin at the margin, each with the indented block under it. */
function gather(lines: readonly string[]): readonly Line[] {
  const starts = [...lines.keys()].filter((index) => /^[^\s#]/.test(lines[index] as string));
  return starts.map((start, index) => {
    const under = lines.slice(start + 1, starts[index + 1] ?? lines.length);
    const block = under.filter((line) => !line.startsWith("#"));
    return { number: start + 1, text: (lines[start] as string).trim(), block: dedent(block) };
  });
}

function readStep({ number, text, block }: Line): Step {
  const [, subjects, verb] = SUBJECTS.exec(text) ?? [];
  if (subjects === undefined || verb === undefined) throw new Error("nobody does anything here");
  const verbs = block === "" ? WITHOUT_BLOCK : WITH_BLOCK;
  for (const [pattern, reading] of verbs) {
    const found = new RegExp(`^${pattern}$`).exec(verb);
    if (found === null) continue;
    const who = subjects.split(/, | and /);
    return { line: number, who, action: reading(found.slice(1), block) };
  }
  throw new Error(
    `nobody knows how to "${verb}" ${block === "" ? "without" : "with"} XML under it`,
  );
}

const HEADERS = ["specification", "users", "strangers", "needs", "shows"];

function readHeader(lines: readonly Line[]): ReadonlyMap<string, string> {
  const header = new Map<string, string>();
  for (const { text } of lines) {
    const [, key, value] = /^([a-z]+): (.+)$/.exec(text) ?? [];
    if (key === undefined || value === undefined || !HEADERS.includes(key)) {
      throw new Error(`a header is one of ${HEADERS.join(", ")}`);
    }
    header.set(key, value);
  }
  return header;
}

/** Names that a dialogue can fill in before anything has arrived. */
function knownNames(header: Omit<Dialogue, "steps" | "lines">, steps: readonly Step[]) {
  const people = [...header.users, ...header.strangers];
  const clients = steps.flatMap(({ who }) => who).filter((name) => name.includes("/"));
  const ofPeople = people.flatMap((name) => [
    name,
    `${name}.name`,
    `${name}.password`,
    `${name}.plain`,
  ]);
  return new Set(["domain", ...ofPeople, ...clients.map((name) => name.replace(/#\d+$/, ""))]);
}

/** Finds a name that is sent before it was received, or a client of an unknown user. */
function check(step: Step, known: Set<string>, users: readonly string[]): void {
  const { action, who } = step;
  for (const name of who) {
    const { user, resource } = clientName(name);
    if (resource !== undefined && !users.includes(user)) throw new Error(`${user} is not a user`);
  }
  if (action.kind === "send") {
    const values = new Map([...known].map((name) => [name, ""]));
    fillIn(withoutRepeats(action.text), values);
  }
  const elements = action.kind === "receive" ? action.stanzas : [];
  for (const [, name] of elements.join("").matchAll(/\{([^{}|]+)\}/g)) known.add(name as string);
}

/** Writes out `{repeat 3 ab}`: ababab. */
export const withoutRepeats = (text: string): string =>
  text.replace(/\{repeat (\d+) ([^{}]+)\}/g, (_, times, piece: string) =>
    piece.repeat(Number(times)),
  );

/** @throws Error "Cannot read FILE:LINE: why" */
export function parseDialogue(file: string, text: string): Dialogue {
  const lines = text.split("\n");
  const [title, ...others] = gather(lines);
  const isHeader = ({ text: line }: Line) => /^[a-z]+: /.test(line);
  const count = others.findIndex((line) => !isHeader(line));
  let at = title?.number ?? 1;
  try {
    if (title === undefined || count < 0) throw new Error("it says nothing");
    const header = readHeader(others.slice(0, count));
    const list = (key: string) => header.get(key)?.split(", ") ?? [];
    const specification = header.get("specification");
    if (specification === undefined) throw new Error("it does not name its specification");
    const head = {
      file,
      title: title.text,
      specification,
      users: list("users"),
      strangers: list("strangers"),
      needs: list("needs") as "direct TLS"[],
      showsOwnPresence: list("shows").includes("own presence"),
      showsAckRequests: list("shows").includes("requests for acknowledgement"),
    };
    const steps = others.slice(count).map((line) => {
      at = line.number;
      return readStep(line);
    });
    const known = knownNames(head, steps);
    for (const step of steps) {
      at = step.line;
      check(step, known, head.users);
    }
    return { ...head, steps, lines };
  } catch (error) {
    throw new Error(`Cannot read ${file}:${at}: ${(error as Error).message}`, { cause: error });
  }
}
