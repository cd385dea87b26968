/**
 * `npm run sim`: a whole cluster of the real node code in one process, in virtual time, told by
 * seeds. Ends with one line; exit code 1, and the story, when an invariant is broken.
 */
import { parseArgs } from "node:util";
import { nextRelease } from "../next/sim-node.ts";
import type { FaultKind } from "./faults.ts";
import { ASKED_KINDS, FAULT_KINDS, UNHELD, UNHELD_ALWAYS } from "./faults.ts";
import { INVARIANTS } from "./invariants.ts";
import { SimNode } from "./node.ts";
import type { Told } from "./story.ts";
import { tell } from "./story.ts";

const unheld = Object.entries(UNHELD).flatMap(([kind, ones]) =>
  ones.map(({ invariant, reason, isOfSeveral }) => {
    const where = isOfSeveral ? " (in stories of odd seeds, where several do at once)" : "";
    return `  ${kind}: ${invariant}: ${reason}${where}`;
  }),
);

const BURST_MAX = 6;

const HELP = `Usage: npm run sim -- [options]

Tells stories: nodes with their real code, over a simulated network, etcd and store, in virtual
time. People log in, talk, lose connections and resume; things go wrong; everything that must hold is
checked after every event. The same seed tells the same story.

  --seeds N         how many stories (200)
  --from SEED       the first seed (1)
  --seconds S       begin no story after so many seconds
  --faults A,B,...  only these: ${FAULT_KINDS.join(", ")};
                    also, but only if asked for: ${ASKED_KINDS.join(", ")}
  --mixed           each life of a node is of this release or of the next one
  --bursts          people say up to ${BURST_MAX} things to somebody at once
  --verbose         print every story
  --strict          check also what is known not to hold yet
  --keep-going      tell all stories, though one has failed

Invariants:
${Object.entries(INVARIANTS)
  .map(([name, about]) => `  ${name}: ${about}`)
  .join("\n")}

What does not hold yet, and is not checked in stories with such faults. When a node dies while another
is dead, or kept away from it, nothing is said of messages that were on their way then: their
sessions may have had no shadow; nor of who was shown to whom there. After "isolate" they have one
within 3.5 s of its end. The same holds when a node that drains while it is kept from others or etcd is
not done in time.
${unheld.join("\n")}
And in all stories:
${UNHELD_ALWAYS.map((reason) => `  ${reason}`).join("\n")}
`;

const PROGRESS_MS = 5_000;

function readWish() {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "200" },
      from: { type: "string", default: "1" },
      seconds: { type: "string", default: "86400" },
      faults: { type: "string", default: FAULT_KINDS.join(",") },
      mixed: { type: "boolean", default: false },
      bursts: { type: "boolean", default: false },
      verbose: { type: "boolean", default: false },
      strict: { type: "boolean", default: false },
      "keep-going": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const number = (name: "seeds" | "from" | "seconds", least: number, most: number) => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw new Error(`Cannot use --${name} ${values[name]}: give a number from ${least} to ${most}`);
  };
  const faults = values.faults === "" ? [] : (values.faults.split(",") as FaultKind[]);
  const unknown = faults.find((kind) => ![...FAULT_KINDS, ...ASKED_KINDS].includes(kind));
  if (unknown !== undefined) throw new Error(`Cannot use --faults ${unknown}: see --help`);
  return {
    seeds: number("seeds", 1, 10_000_000),
    from: number("from", 0, 2 ** 31),
    seconds: number("seconds", 1, 86_400),
    faults,
    isMixed: values.mixed,
    atOnceMax: values.bursts ? BURST_MAX : 1,
    isVerbose: values.verbose,
    isStrict: values.strict,
    keepsGoing: values["keep-going"],
  };
}

function printStory({ seed, lines, broken }: Told): void {
  console.log(`--- seed ${seed}`);
  for (const line of lines) console.log(line);
  for (const { invariant, why } of broken) console.log(`seed ${seed} breaks ${invariant}: ${why}`);
}

async function main(): Promise<void> {
  const wish = readWish();
  if (wish === undefined) {
    console.log(HELP);
    return;
  }
  const releases = wish.isMixed ? [SimNode, await nextRelease()] : [SimNode];
  const startedMs = performance.now();
  const sum = { seeds: 0, events: 0, faults: 0, messages: 0, broken: 0 };
  const failing: number[] = [];
  let saidMs = startedMs;
  for (let seed = wish.from; seed < wish.from + wish.seeds; seed += 1) {
    if (performance.now() - startedMs > wish.seconds * 1_000) break;
    const told = await tell(seed, wish.faults, wish.isStrict, releases, wish.atOnceMax);
    sum.seeds += 1;
    sum.events += told.events;
    sum.faults += told.faults;
    sum.messages += told.messages;
    sum.broken += told.broken.length;
    if (told.broken.length > 0) failing.push(seed);
    if (wish.isVerbose || (told.broken.length > 0 && !wish.keepsGoing)) printStory(told);
    if (told.broken.length > 0 && !wish.keepsGoing) break;
    for (const { invariant, why } of told.broken) {
      console.log(`seed ${seed} breaks ${invariant}: ${why}`);
    }
    if (performance.now() - saidMs < PROGRESS_MS) continue;
    saidMs = performance.now();
    console.log(`${sum.seeds} of ${wish.seeds} seeds, ${failing.length} failing`);
  }
  const which = failing.length === 0 ? "" : ` (seeds ${failing.join(" ")})`;
  console.log(
    `${sum.seeds} seeds, ${sum.events} events, ${sum.messages} messages, ` +
      `${sum.faults} faults injected, ${sum.broken} broken invariants${which}`,
  );
  if (sum.broken > 0) process.exitCode = 1;
}

await main();
