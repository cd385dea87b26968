/**
 * `npm run oracle`: the dialogues against Debian's ejabberd and Prosody. Where a peer differs, one of
 * us is wrong: docs/differences.md says which, by the sentence that decides it. A difference that is
 * not on that page, or one that is and has gone, fails the run. `-- --show NAME` shows one in full.
 */
import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import type { Element } from "ltx";
import { makeCertificate } from "../bench/servers.ts";
import { readDialogues } from "../harness/dialogue-files.ts";
import type { Dialogue } from "../harness/dialogue-parser.ts";
import { runDialogue } from "../harness/dialogue-runner.ts";
import type { DialogueServer } from "../harness/dialogue-scene.ts";
import { answerHelp } from "../harness/help.ts";
import { runProgram } from "../harness/lifetime.ts";
import { DOMAIN } from "../harness/peers/contract.ts";
import { startEjabberd } from "../harness/peers/ejabberd.ts";
import { startProsody } from "../harness/peers/prosody.ts";
import { progress } from "../harness/progress.ts";
import { scratch } from "../harness/scratch.ts";
import { subscriptionDialogues } from "./subscription-states.ts";

const PEERS = { ejabberd: startEjabberd, prosody: startProsody } as const;
type PeerName = keyof typeof PEERS;

const USAGE = `Usage: npm run oracle -- [--only NAME | --show NAME]

Runs the dialogues against Debian's ejabberd and Prosody (unpacked, not installed), which takes about four
minutes, and fails on a difference that docs/differences.md does not know, or knows and is gone.

  --only NAME   only dialogues whose path contains NAME: messages, roster/versioning
  --show NAME   the same, with all that was on the wire
`;

/** What neither has, in Debian's version and without modules of others. */
const ABSENT = /XEP-0(050|133|357|386|388|474|478|480|484)\b/;

const PAGE = path.join(import.meta.dirname, "../../docs/differences.md");
const AT_ONCE = 6;
/** A peer that does not say what is expected says nothing: waiting longer shows nothing new. */
const DEADLINE_MS = 5_000;

/**
 * What the specifications leave to a server, so that a dialogue can go on to what it is about: the
 * time of a presence that is told again (XEP-0203, 2), word that nobody is there in answer to a probe
 * (RFC 6121, 4.3.2: "SHOULD"), what ejabberd says of its archive as drafts of XEP-0313 had it, who
 * asks a client what it can do (XEP-0115, 6.2), and, but where a dialogue is about that, that there is no picture
 * (XEP-0398, 4).
 */
function overlooks(stanza: Element, { specification }: Dialogue): boolean {
  const archived = stanza.getChild("archived", "urn:xmpp:mam:tmp");
  if (archived !== undefined) stanza.remove(archived);
  const asked = stanza.getChild("query", "http://jabber.org/protocol/disco#info");
  if (stanza.name === "iq" && stanza.attrs.type === "get" && asked?.attrs.node !== undefined) {
    return true;
  }
  if (stanza.name !== "presence") return false;
  const delay = stanza.getChild("delay", "urn:xmpp:delay");
  if (delay !== undefined) stanza.remove(delay);
  const picture = stanza.getChild("x", "vcard-temp:x:update");
  if (picture !== undefined && !specification.includes("XEP-0398")) stanza.remove(picture);
  return stanza.attrs.type === "unavailable" && !String(stanza.attrs.from).includes("/");
}

/** "prosody messages/offline" for each entry of the page. */
function knownDifferences(): ReadonlySet<string> {
  const entries = readFileSync(PAGE, "utf8").matchAll(/^- `([\w/-]+)` \((ejabberd|prosody)\)/gm);
  return new Set([...entries].map(([, file, peer]) => `${peer} ${file}`));
}

const nameOf = ({ file }: Dialogue): string => file.replace(/\.dialogue$/, "");

/** The dialogues that end differently, with what was said instead. */
async function differencesOf(
  peer: PeerName,
  server: DialogueServer,
  dialogues: readonly Dialogue[],
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const queue = dialogues.values();
  const lane = async () => {
    for (const dialogue of queue) {
      try {
        const isOverlooked = (stanza: Element) => overlooks(stanza, dialogue);
        await runDialogue(dialogue, { ...server, overlooks: isOverlooked });
      } catch (error) {
        found.set(`${peer} ${nameOf(dialogue)}`, (error as Error).message);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return found;
}

async function compare(
  peer: PeerName,
  dialogues: readonly Dialogue[],
): Promise<ReadonlyMap<string, string>> {
  const place = await scratch(`oracle-${peer}`);
  const certificate = await makeCertificate(place.folder);
  const folder = path.join(place.folder, "server");
  await mkdir(folder);
  const options = { folder, accounts: [], archive: true, isComplete: true, ...certificate };
  const running = await PEERS[peer](options);
  const own = dialogues.filter(({ specification }) => !ABSENT.test(specification));
  const done = progress(`${peer} ${running.version}: ${own.length} dialogues`);
  try {
    const server: DialogueServer = {
      ...{ domain: DOMAIN, ports: [running.plainPort], directTlsPort: running.tlsPort },
      ...{ mechanism: "SCRAM-SHA-1", deadlineMs: DEADLINE_MS },
    };
    return await differencesOf(peer, server, own);
  } finally {
    await running.stop();
    await place.remove();
    done();
  }
}

/** The line of the dialogue that went otherwise, and what came: the first lines of the report. */
const brief = (report: string): string =>
  report
    .split("\nOn the wire")[0]
    ?.split("\n")
    .filter((line, at) => at === 0 || line.startsWith(">") || !line.startsWith(" "))
    .slice(0, 4)
    .join("\n    ") ?? report;

async function main(): Promise<void> {
  answerHelp(USAGE);
  const { values } = parseArgs({ options: { show: { type: "string" }, only: { type: "string" } } });
  const all = [...(await readDialogues(import.meta.dirname)), ...subscriptionDialogues];
  const wanted = values.show ?? values.only;
  const dialogues = all.filter(({ file }) => wanted === undefined || file.includes(wanted));
  const found = new Map<string, string>();
  for (const peer of Object.keys(PEERS) as PeerName[]) {
    for (const [name, report] of await compare(peer, dialogues)) found.set(name, report);
  }
  const known = knownDifferences();
  const isNew = (name: string) => !known.has(name);
  for (const [name, report] of [...found].sort()) {
    const text = values.show === undefined ? brief(report) : report;
    process.stdout.write(`${isNew(name) ? "NEW " : "known"} ${name}\n    ${text}\n`);
  }
  const gone = wanted === undefined ? [...known].filter((name) => !found.has(name)) : [];
  for (const name of gone) process.stdout.write(`GONE ${name}: take it off docs/differences.md\n`);
  const fresh = [...found.keys()].filter(isNew);
  process.stdout.write(`${found.size} differences, ${fresh.length} new, ${gone.length} gone\n`);
  if (fresh.length + gone.length > 0) process.exitCode = 1;
}

await runProgram(main);
