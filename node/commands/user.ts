/** `zonda user …`: accounts, straight in the configured store. */
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { makeCredentials, PasswordRefused } from "../auth/credentials.ts";
import { ConfigError } from "../base/errors.ts";
import { silentLog } from "../base/log.ts";
import type { Configuration } from "../config/schema.ts";
import { readConfiguration } from "../configuration.ts";
import { openStores } from "../engines.ts";
import { Jid } from "../stanza/jid.ts";
import type { Accounts, Credentials, Stores } from "../stores/contract.ts";
import type { Invocation } from "./invocation.ts";

const PASSWORD_BYTES_MAX = 1_023;

async function withAccounts(
  invocation: Invocation,
  work: (accounts: Accounts, configuration: Configuration, stores: Stores) => Promise<void>,
): Promise<void> {
  const configuration = await readConfiguration(invocation);
  await using stores = await openStores(configuration, silentLog);
  await work(stores.accounts, configuration, stores);
}

function addressOf({ operands: [operand] }: Invocation, { domains }: Configuration): Jid {
  const jid = Jid.parse(operand as string);
  if (jid.local === "" || !jid.isBare) {
    throw new ConfigError(`Cannot use ${operand}: an account's address is name@domain`);
  }
  if (!domains.includes(jid.domain)) {
    throw new ConfigError(
      `Cannot use ${operand}: ${jid.domain} is not one of the domains ${domains.join(", ")}`,
    );
  }
  return jid;
}

/** Asks for a password and stores its keys by `store`, which answers whether it could. */
const storePassword = (
  invocation: Invocation,
  store: (accounts: Accounts, user: string, credentials: Credentials) => Promise<boolean>,
  { done, refused }: { done: (user: string) => string; refused: (user: string) => string },
): Promise<void> =>
  withAccounts(invocation, async (accounts, configuration) => {
    const { bare } = addressOf(invocation, configuration);
    const password = await askPassword(bare);
    const { scramIterations: iterations } = configuration.auth;
    const credentials = await makeCredentials(password, { iterations }).catch((error: unknown) => {
      if (!(error instanceof PasswordRefused)) throw error;
      throw new ConfigError("Cannot use the password: it has characters that no password may have");
    });
    if (!(await store(accounts, bare, credentials))) throw new ConfigError(refused(bare));
    console.log(done(bare));
  });

export const userAdd = (invocation: Invocation): Promise<void> =>
  storePassword(invocation, (accounts, ...account) => accounts.create(...account), {
    done: (user) => `Added ${user}`,
    refused: (user) => `Cannot add ${user}: the account exists; see zonda user passwd`,
  });

export const userPassword = (invocation: Invocation): Promise<void> =>
  storePassword(invocation, (accounts, ...account) => accounts.setCredentials(...account), {
    done: (user) => `Set the password of ${user}`,
    refused: (user) => `Cannot set the password of ${user}: no such account`,
  });

export const userDelete = (invocation: Invocation): Promise<void> =>
  withAccounts(invocation, async (accounts, configuration) => {
    const { bare } = addressOf(invocation, configuration);
    if (!invocation.isConfirmed && !(await confirm(`Delete ${bare} and all its data? [y/N] `)))
      return;
    if (!(await accounts.delete(bare))) {
      throw new ConfigError(`Cannot delete ${bare}: no such account`);
    }
    console.log(`Deleted ${bare}`);
  });

const setDisabled =
  (isDisabled: boolean) =>
  (invocation: Invocation): Promise<void> =>
    withAccounts(invocation, async (accounts, configuration) => {
      const { bare } = addressOf(invocation, configuration);
      const what = isDisabled ? "disable" : "enable";
      if (!(await accounts.setDisabled(bare, isDisabled))) {
        throw new ConfigError(`Cannot ${what} ${bare}: no such account`);
      }
      console.log(
        isDisabled ? `Disabled ${bare}: sessions go on until they end` : `Enabled ${bare}`,
      );
    });

export const userDisable = setDisabled(true);
export const userEnable = setDisabled(false);

/** XEP-0484: who logs in next needs the password, whatever a lost device still holds. */
export const userForget = (invocation: Invocation): Promise<void> =>
  withAccounts(invocation, async (accounts, configuration, { tokens }) => {
    const { bare } = addressOf(invocation, configuration);
    if (!(await accounts.exists(bare))) {
      throw new ConfigError(`Cannot forget the tokens of ${bare}: no such account`);
    }
    await tokens.clear(bare);
    console.log(`Forgot the tokens of ${bare}`);
  });

export const userList = (invocation: Invocation): Promise<void> =>
  withAccounts(invocation, async (accounts) => {
    const domain = Jid.parse(invocation.operands[0] as string).domain;
    for await (const user of accounts.list(domain)) console.log(user);
  });

async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) throw new ConfigError("Cannot ask: no terminal; give --yes");
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await reader.question(question);
  reader.close();
  return /^y(es)?$/i.test(answer.trim());
}

/** From the terminal without echo, twice; or the first line of standard input. */
async function askPassword(address: string): Promise<string> {
  if (!process.stdin.isTTY) return checkPassword(await firstLine());
  const silence = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: silence, terminal: true });
  try {
    process.stderr.write(`Password for ${address}: `);
    const first = await reader.question("");
    process.stderr.write("\nOnce more: ");
    const second = await reader.question("");
    process.stderr.write("\n");
    if (first !== second) throw new ConfigError("Cannot use the password: the two differ");
    return checkPassword(first);
  } finally {
    reader.close();
  }
}

async function firstLine(): Promise<string> {
  const reader = createInterface({ input: process.stdin });
  for await (const line of reader) return line;
  return "";
}

function checkPassword(password: string): string {
  if (password.length === 0) throw new ConfigError("Cannot use the password: it is empty");
  if (Buffer.byteLength(password) > PASSWORD_BYTES_MAX) {
    throw new ConfigError(`Cannot use the password: longer than ${PASSWORD_BYTES_MAX} bytes`);
  }
  return password;
}
