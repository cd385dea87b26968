/**
 * `npm run fuzz`: the tests with generated and damaged input, one seed after another for as long as
 * one likes. Ends at the first seed that finds something; `npm test` looks at seed 1 alone.
 */
import { parseArgs } from "node:util";
import { runVitest } from "../e2e/harness/vitest.ts";

/** Of these each test file whose path contains one is run: what strangers may send, in any form. */
const READERS = [
  "node/xml/fuzz", // The parser and the framer, against saxes.
  "node/stanza", // Addresses, frames between nodes, what is put into stanzas.
  "node/session/login-order",
  "node/stream/bosh/body",
  "node/mesh/frame",
  "node/router/frames",
  "node/router/session-wire",
];

const HELP = `Usage: npm run fuzz -- [options] [words]

Runs the tests with generated input (fast-check) with one seed after another, and ends at the first that finds
something. ZONDA_TEST_SEED=SEED npm test -- PATH looks at that seed again.

  --minutes M    begin no seed after so many minutes (10)
  --from SEED    the first seed (2: npm test looks at 1)

Words: only test files whose path contains one of them. Without any:
${READERS.map((word) => `  ${word}\n`).join("")}`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: "string", default: "10" },
    from: { type: "string", default: "2" },
    help: { type: "boolean", short: "h", default: false },
  },
});
const [minutes, from] = [Number(values.minutes), Number(values.from)];
if (values.help) {
  process.stdout.write(HELP);
} else if (!(minutes > 0) || !Number.isSafeInteger(from)) {
  process.stderr.write("Cannot fuzz: --minutes takes a number above 0, --from a whole one\n");
  process.exitCode = 2;
} else {
  await fuzz(positionals.length > 0 ? positionals : READERS);
}

async function fuzz(words: readonly string[]): Promise<void> {
  const untilMs = performance.now() + minutes * 60_000;
  for (let seed = from; ; seed++) {
    const { passed, failed } = await runVitest(words, { ZONDA_TEST_SEED: `${seed}` });
    if (failed > 0 || passed === 0) {
      const again = `ZONDA_TEST_SEED=${seed} npm test -- ${words.join(" ")}`;
      process.stdout.write(`Seed ${seed} found something: ${again}\n`);
      process.exitCode = 1;
      return;
    }
    if (performance.now() < untilMs) continue;
    process.stdout.write(`Seeds ${from} to ${seed}: ${passed} tests passed with each\n`);
    return;
  }
}
