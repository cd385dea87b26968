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
  config check             read the configuration and say what is wrong with it
  config schema            print the JSON Schema of the configuration file
  version                  print the version

Options
  --config <file>          the YAML configuration file
  --set <option>=<value>   override one option, for example --set c2s.port=5299; may be repeated
  --yes                    user delete: do not ask
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
  readonly operands: number;
  run(invocation: Invocation): Promise<void>;
}

const COMMANDS: readonly Command[] = [
  { words: ["serve"], operands: 0, run: serve },
  { words: ["user", "add"], operands: 1, run: userAdd },
  { words: ["user", "passwd"], operands: 1, run: userPassword },
  { words: ["user", "disable"], operands: 1, run: userDisable },
  { words: ["user", "enable"], operands: 1, run: userEnable },
  { words: ["user", "forget"], operands: 1, run: userForget },
  { words: ["user", "delete"], operands: 1, run: userDelete },
  { words: ["user", "list"], operands: 1, run: userList },
  { words: ["config", "check"], operands: 0, run: configCheck },
  { words: ["config", "schema"], operands: 0, run: configSchema },
  { words: ["version"], operands: 0, run: async () => console.log(software.version) },
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
    },
  });

function fail(exitCode: number, message: string): never {
  console.error(`zonda: ${message}`);
  process.exit(exitCode);
}

async function run(): Promise<void> {
  const { words, values } = parse();
  if (values.help || words.length === 0) {
    process.stdout.write(HELP);
    return;
  }
  const command = COMMANDS.find(({ words: known }) =>
    known.every((word, at) => word === words[at]),
  );
  if (command === undefined) fail(EXIT_USAGE, `no command ${words.join(" ")}\nSee zonda --help`);
  const operands = words.slice(command.words.length);
  if (operands.length !== command.operands) {
    const missing =
      operands.length < command.operands ? "an operand is missing" : "too many operands";
    fail(EXIT_USAGE, `${command.words.join(" ")}: ${missing}\nSee zonda --help`);
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
