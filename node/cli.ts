/** The administrator's command: `npx zonda --help`. */
import { parseArgs } from "node:util";
import { ConfigError, Unavailable } from "./base/errors.ts";
import { configCheck, configSchema } from "./commands/config.ts";
import type { Invocation } from "./commands/invocation.ts";
import { serve } from "./commands/serve.ts";
import {
  userAdd,
  userDelete,
  userDisable,
  userEnable,
  userForget,
  userList,
  userPassword,
} from "./commands/user.ts";
import { nearest } from "./config/nearest.ts";
import { software } from "./software.ts";
import { JidError } from "./stanza/jid.ts";

const HELP = `Zonda ${software.version}, an XMPP service that runs as a cluster

Usage: zonda <command> [options]

Commands
  serve                    run one node; without --config on the embedded store
  user add <address>       make an account; asks for the password, or reads it from standard input
  user passwd <address>    set another password
  user disable <address>   let nobody log in; all data is kept
  user enable <address>    let its owner log in again
  user forget <address>    forget the tokens that its clients log in with; they need the password
  user delete <address>    remove an account and all its data
  user list <domain>       print the addresses of a domain's accounts
  config check             read the configuration and the files that it names, set up its modules, and say
                           what would keep a node from starting; no store or port is opened
  config schema            print the JSON Schema of the configuration file; with --config also of
                           the options of the modules that it names in modules.external
  version                  print the version

Options
  --config <file>          the YAML configuration file
  --set <option>=<value>   override one option, for example --set c2s.port=5299; may be repeated
  --yes                    user delete: do not ask
  --version                print the version
  --help                   print this

Every option can be given by environment as well: drain.deadlineSeconds is
ZONDA_DRAIN_DEADLINE_SECONDS. --set goes before the environment, the environment before the file.

Examples
  zonda serve                                       try it out, on localhost
  zonda user add juliet@localhost                   then log in with any XMPP client
  echo "$PASSWORD" | zonda user add bot@localhost   from a script
  zonda serve --config zonda.yaml                   run with a configuration
`;

interface Command {
  readonly words: readonly string[];
  /** What stands behind them, as the help writes it. */
  readonly operands: readonly string[];
  run(invocation: Invocation): Promise<void>;
}

const COMMANDS: readonly Command[] = [
  { words: ["serve"], operands: [], run: serve },
  { words: ["user", "add"], operands: ["<address>"], run: userAdd },
  { words: ["user", "passwd"], operands: ["<address>"], run: userPassword },
  { words: ["user", "disable"], operands: ["<address>"], run: userDisable },
  { words: ["user", "enable"], operands: ["<address>"], run: userEnable },
  { words: ["user", "forget"], operands: ["<address>"], run: userForget },
  { words: ["user", "delete"], operands: ["<address>"], run: userDelete },
  { words: ["user", "list"], operands: ["<domain>"], run: userList },
  { words: ["config", "check"], operands: [], run: configCheck },
  { words: ["config", "schema"], operands: [], run: configSchema },
  { words: ["version"], operands: [], run: async () => console.log(software.version) },
];

const EXIT_USAGE = 2;

function parse(): { words: readonly string[]; values: ReturnType<typeof parseOptions>["values"] } {
  try {
    const { positionals, values } = parseOptions();
    return { words: positionals, values };
  } catch (error) {
    return fail(EXIT_USAGE, `${(error as Error).message}\nSee zonda --help`);
  }
}

const parseOptions = () =>
  parseArgs({
    allowPositionals: true,
    options: {
      config: { type: "string" },
      set: { type: "string", multiple: true, default: [] },
      yes: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
      version: { type: "boolean", default: false },
    },
  });

function fail(exitCode: number, message: string): never {
  console.error(`zonda: ${message}`);
  process.exit(exitCode);
}

function noCommand(words: readonly string[]): string {
  const said = words.join(" ");
  const group = COMMANDS.filter((one) => one.words.length > 1 && one.words[0] === words[0]);
  const known = (group.length > 0 ? group : COMMANDS).map((one) => one.words.join(" "));
  const isGroup = words.length === 1 && group.length > 0;
  const guess = isGroup ? undefined : nearest(words.slice(0, 2).join(" "), known);
  if (guess !== undefined) return `no command ${said}; did you mean ${guess}?\nSee zonda --help`;
  return `no command ${said}; there are: ${known.join(", ")}\nSee zonda --help`;
}

async function run(): Promise<void> {
  const { words, values } = parse();
  if (values.help || (words.length === 0 && !values.version)) {
    process.stdout.write(HELP);
    return;
  }
  if (values.version) {
    console.log(software.version);
    return;
  }
  const command = COMMANDS.find(({ words: known }) =>
    known.every((word, at) => word === words[at]),
  );
  if (command === undefined) fail(EXIT_USAGE, noCommand(words));
  const operands = words.slice(command.words.length);
  if (operands.length !== command.operands.length) {
    const usage = ["zonda", ...command.words, ...command.operands].join(" ");
    fail(EXIT_USAGE, `write it as ${usage}\nSee zonda --help`);
  }
  await command.run({ file: values.config, sets: values.set, isConfirmed: values.yes, operands });
}

try {
  await run();
} catch (error) {
  // What the person can mend is said in one line; a bug shows its stack.
  const isPlain =
    error instanceof ConfigError || error instanceof Unavailable || error instanceof JidError;
  if (isPlain) fail(1, error.message);
  throw error;
}
