/**
 * `npm run scale`: how a cluster grows, measured on one machine, into docs/scaling.md.
 * `npm run scale -- --help` says what can be measured.
 */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { numberOf, wordsOf } from "../harness/arguments.ts";
import { runProgram } from "../harness/lifetime.ts";
import { failover } from "./failover.ts";
import { Figures, withSection } from "./figures.ts";
import { growth } from "./growth.ts";
import { messages } from "./messages.ts";
import { presence } from "./presence.ts";
import { questions } from "./questions.ts";
import { registry } from "./registry.ts";
import { rosters } from "./rosters.ts";
import { sessions } from "./sessions.ts";
import type { SiteName } from "./site.ts";
import { SITES } from "./site.ts";
import { STORES, stores } from "./stores.ts";

const PAGE = path.join(import.meta.dirname, "../../docs/scaling.md");

const HELP = `Usage: npm run scale -- --only LIST [options]

  --only LIST       of what follows, with the options that count for each and their defaults
    rosters         rosters in Cassandra: --users 500000 --contacts 20 --reads 20000 --data DIR
                    (DIR keeps the data; it is taken as it is if it is there)
    stores          the same rosters in Cassandra and in the stores that others use by default, read
                    one at a time: --servers zonda,ejabberd,prosody --users 500000 --contacts 20
                    --reads 20000 --data DIR
    messages        within a node and between two: --sessions 1000 --rate 1000 --seconds 6
    presence        to 30 and 1,000 contacts, on one node and three: --rate 1000 --seconds 10
    sessions        over nodes: --nodes 4 --sessions 63000 --contacts 30 --rate 100 --seconds 20
                    (--nodes 1,2 measures one after the other; 18,700 sessions a node at most)
    failover        one node is killed: --nodes 5 --sessions 2000 (on each) --contacts 10
    registry        etcd with many nodes and routes: --nodes 200 --routes 100000 --seconds 10
    questions       between two nodes, by how many are asked in one turn: --count 50000
    growth          what simulated clusters do, counted: --nodes 10,100,1000 --sessions 900 (on the node that
                    dies; fewer in big clusters)
  --servers LIST    zonda, ejabberd (its own cluster), in messages, presence and sessions: zonda
  --set OPTION=VALUE  of the nodes, in all but rosters and registry
  --write           puts the figures into docs/scaling.md
  --as SECTION      there under that name, instead of that of the part
`;

const text = { type: "string" } as const;
const flag = { type: "boolean", default: false } as const;

function readArguments() {
  const { values } = parseArgs({
    options: {
      ...{ only: text, users: text, contacts: text, reads: text, data: text },
      ...{ servers: text, sessions: text, nodes: text, rate: text, seconds: text, routes: text },
      count: text,
      set: { type: "string", multiple: true, default: [] },
      ...{ write: flag, as: text, help: flag },
    },
  });
  return values;
}

type Values = ReturnType<typeof readArguments>;

const even = (value: number): number => 2 * Math.ceil(value / 2);
const contactsIn = ({ contacts }: Values, fallback: number) =>
  even(numberOf("contacts", contacts, fallback, 400));
const nodesIn = ({ nodes }: Values, fallback: number, max = 20) =>
  numberOf("nodes", nodes, fallback, max);
const nodesListIn = (values: Values, fallback: string, max?: number) =>
  (values.nodes ?? fallback).split(",").map((nodes) => nodesIn({ ...values, nodes }, 1, max));
const serversIn = ({ servers }: Values) =>
  wordsOf("servers", servers ?? "zonda", Object.keys(SITES) as SiteName[]);
const sessionsIn = ({ sessions: count }: Values, fallback: number) =>
  numberOf("sessions", count, fallback, 200_000);
/** How fast, how long and with what: the same everywhere but for the defaults. */
const paceIn = ({ rate, seconds, set }: Values, usualRate: number, usualSeconds: number) => ({
  rate: numberOf("rate", rate, usualRate, 100_000),
  seconds: numberOf("seconds", seconds, usualSeconds, 600),
  sets: set,
});

const PARTS = {
  rosters: (values: Values, figures: Figures) =>
    rosters(
      {
        users: numberOf("users", values.users, 500_000, 10_000_000),
        contacts: contactsIn(values, 20),
        reads: numberOf("reads", values.reads, 20_000, 10_000_000),
        data: values.data,
      },
      figures,
    ),
  stores: (values: Values, figures: Figures) =>
    stores(
      {
        servers: wordsOf("servers", values.servers ?? STORES.join(","), STORES),
        users: numberOf("users", values.users, 500_000, 10_000_000),
        contacts: contactsIn(values, 20),
        reads: numberOf("reads", values.reads, 20_000, 10_000_000),
        data: values.data,
      },
      figures,
    ),
  messages: (values: Values, figures: Figures) =>
    messages(
      {
        servers: serversIn(values),
        sessions: 4 * Math.ceil(sessionsIn(values, 1_000) / 4),
        ...paceIn(values, 1_000, 6),
      },
      figures,
    ),
  presence: (values: Values, figures: Figures) =>
    presence({ servers: serversIn(values), ...paceIn(values, 1_000, 10) }, figures),
  sessions: (values: Values, figures: Figures) =>
    sessions(
      {
        servers: serversIn(values),
        nodes: nodesListIn(values, "4"),
        ...{ sessions: sessionsIn(values, 63_000), contacts: contactsIn(values, 30) },
        ...paceIn(values, 100, 20),
      },
      figures,
    ),
  failover: (values: Values, figures: Figures) =>
    failover(
      {
        ...{ nodes: nodesIn(values, 5), sessions: sessionsIn(values, 2_000) },
        ...{ contacts: contactsIn(values, 10), sets: values.set },
      },
      figures,
    ),
  registry: (values: Values, figures: Figures) =>
    registry(
      {
        nodes: nodesIn(values, 200, 1_000),
        routes: numberOf("routes", values.routes, 100_000, 10_000_000),
        seconds: paceIn(values, 1, 10).seconds,
      },
      figures,
    ),
  questions: (values: Values, figures: Figures) =>
    questions(numberOf("count", values.count, 50_000, 10_000_000), figures),
  growth: (values: Values, figures: Figures) =>
    growth(
      { nodes: nodesListIn(values, "10,100,1000", 1_000), sessions: sessionsIn(values, 900) },
      figures,
    ),
} as const satisfies Record<string, (values: Values, figures: Figures) => Promise<void>>;

type Part = keyof typeof PARTS;

/** The options that count for each, as HELP has them. */
const OPTIONS: Readonly<Record<Part, readonly (keyof Values)[]>> = {
  rosters: ["users", "contacts", "reads", "data"],
  stores: ["servers", "users", "contacts", "reads", "data"],
  messages: ["servers", "sessions", "rate", "seconds", "set"],
  presence: ["servers", "rate", "seconds", "set"],
  sessions: ["servers", "nodes", "sessions", "contacts", "rate", "seconds", "set"],
  failover: ["nodes", "sessions", "contacts", "set"],
  registry: ["nodes", "routes", "seconds"],
  questions: ["count"],
  growth: ["nodes", "sessions"],
};

const counts = (part: Part, name: string): boolean => OPTIONS[part].some((one) => one === name);

/** The options that were given, without those that concern only us. */
const givenIn = ({ only, write, as, data, help, ...values }: Values) =>
  Object.entries(values).filter(([, value]) => [value].flat().length > 0);

/** Those that count for a part, as they are typed. */
const shownOptions = (part: Part, values: Values): string =>
  givenIn(values)
    .filter(([name]) => counts(part, name))
    .flatMap(([name, value]) => [value].flat().map((one) => ` --${name} ${one}`))
    .join("");

async function main(): Promise<void> {
  const values = readArguments();
  if (values.help || values.only === undefined) {
    process.stdout.write(HELP);
    return;
  }
  const parts = wordsOf("only", values.only, Object.keys(PARTS) as Part[]);
  for (const [name] of givenIn(values)) {
    if (parts.some((part) => counts(part, name))) continue;
    throw new Error(`Cannot use --${name}: it counts for nothing of ${parts.join(",")}`);
  }
  for (const part of parts) {
    const figures = new Figures();
    const startedMs = performance.now();
    await PARTS[part](values, figures);
    const minutes = Math.ceil((performance.now() - startedMs) / 60_000);
    const command = `\`npm run scale -- --only ${part}${shownOptions(part, values)}\``;
    const date = new Date().toISOString().slice(0, 10);
    const section = figures.section(`${command} on ${date} in ${minutes} minutes`);
    process.stdout.write(`${section}\n`);
    if (!values.write) continue;
    await writeFile(PAGE, withSection(await readFile(PAGE, "utf8"), values.as ?? part, section));
  }
}

await runProgram(main);
