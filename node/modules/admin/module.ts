/** XEP-0133 Service Administration: the commands that run an XMPP service from a client. */
import { newTemplate } from "../../router/envelopes.ts";
import { StanzaError } from "../../stanza/error.ts";
import type { Field } from "../../stanza/form.ts";
import { Jid } from "../../stanza/jid.ts";
import { el } from "../../xml/element.ts";
import { createAccount, deleteAccount, preparedCredentials } from "../account.ts";
import type { CommandDone, CommandGiven, Host, RosterService } from "../contract.ts";
import { command, counter, defineModule } from "../contract.ts";
import {
  ADMIN_NS,
  accountsIn,
  addressesField,
  addressField,
  firstOf,
  nodeOf,
  secretField,
} from "./fields.ts";
import { Nodes } from "./nodes.ts";

/** No command of XEP-0133. */
const NODES = "urn:zonda:admin#nodes";
/** Counting stops here: nobody reads larger numbers one account at a time. */
const COUNTED_MAX = 1_000_000;
const LISTED_MAX = 1_000;
const BROADCAST_USERS = 500;

class Administration {
  readonly #host: Host & { readonly roster: RosterService };

  constructor(host: Host & { readonly roster: RosterService }) {
    this.#host = host;
  }

  async add(given: CommandGiven): Promise<CommandDone> {
    const [jid] = this.#accounts(given, "accountjid");
    if (jid === undefined) throw new StanzaError("bad-request");
    const password = firstOf(given, "password");
    if (password !== firstOf(given, "password-verify")) {
      throw new StanzaError("not-acceptable", "Cannot add user: the passwords differ");
    }
    const outcome = await createAccount(this.#host, jid.bare, password);
    if (outcome === "exists") throw new StanzaError("conflict", `${jid.bare} exists already`);
    return this.#done(given, "added", [jid]);
  }

  delete(given: CommandGiven): Promise<CommandDone> {
    return this.#each(given, "deleted", ({ bare }) => deleteAccount(this.#host, bare));
  }

  disable(given: CommandGiven): Promise<CommandDone> {
    const { accounts, router } = this.#host;
    return this.#each(given, "disabled", async ({ bare }) => {
      const isDone = await accounts.setDisabled(bare, true);
      if (isDone) await router.disconnect(bare, "not-authorized");
      return isDone;
    });
  }

  enable(given: CommandGiven): Promise<CommandDone> {
    return this.#each(given, "enabled", ({ bare }) => this.#host.accounts.setDisabled(bare, false));
  }

  endSessions(given: CommandGiven): Promise<CommandDone> {
    const { accounts, router } = this.#host;
    return this.#each(given, "disconnected", async ({ bare, resource }) => {
      if (!(await accounts.exists(bare))) return false;
      await router.disconnect(bare, "policy-violation", resource);
      return true;
    });
  }

  async changePassword(given: CommandGiven): Promise<CommandDone> {
    const [jid] = this.#accounts(given, "accountjid");
    if (jid === undefined) throw new StanzaError("bad-request");
    const { accounts, credentialsFor } = this.#host;
    const credentials = await preparedCredentials(credentialsFor, firstOf(given, "password"));
    if (!(await accounts.setCredentials(jid.bare, credentials))) throw missing(jid);
    return this.#done(given, "given another password", [jid]);
  }

  async countRegistered({ from }: CommandGiven): Promise<CommandDone> {
    const { accounts, domains } = this.#host;
    const domain = domains.includes(from.domain) ? from.domain : (domains[0] ?? "");
    return counted("registeredusersnum", await count(accounts.list(domain)));
  }

  async listRegistered({ from }: CommandGiven): Promise<CommandDone> {
    const { accounts, domains } = this.#host;
    const domain = domains.includes(from.domain) ? from.domain : (domains[0] ?? "");
    return await listed("registereduserjids", accounts.list(domain));
  }

  async countOnline(): Promise<CommandDone> {
    return counted("onlineusersnum", await count(this.#host.router.users()));
  }

  listOnline(): Promise<CommandDone> {
    return listed("onlineuserjids", this.#host.router.users());
  }

  /** Goes on after the answer: there may be very many. */
  async announce(given: CommandGiven): Promise<CommandDone> {
    const { domains, router, log } = this.#host;
    const body = (given.fields.get("announcement") ?? []).join("\n");
    const { from } = given;
    const domain = domains.includes(from.domain) ? from.domain : (domains[0] ?? "");
    const about = { type: "headline", from: Jid.prepared(domain), receivedMs: router.nowMs() };
    const template = newTemplate("message", about, el("body", {}, body));
    const toAll = async () => {
      let users: string[] = [];
      for await (const user of router.users()) {
        if (users.push(user) < BROADCAST_USERS) continue;
        await router.broadcast(template, users);
        users = [];
      }
      await router.broadcast(template, users);
    };
    toAll().catch((error: unknown) => log.warn({ err: error }, "cannot announce to all"));
    log.info({ administrator: from.bare }, "announcement sent");
    return { note: "Sent to everybody who is online." };
  }

  #accounts(given: CommandGiven, name: string): readonly Jid[] {
    return accountsIn(given, name, this.#host.domains);
  }

  async #each(given: CommandGiven, what: string, act: (jid: Jid) => Promise<boolean>) {
    const jids = this.#accounts(given, "accountjids");
    for (const jid of jids) if (!(await act(jid))) throw missing(jid);
    return this.#done(given, what, jids);
  }

  #done({ from }: CommandGiven, what: string, jids: readonly Jid[]): CommandDone {
    const names = jids.map(({ full }) => full);
    this.#host.log.info({ administrator: from.bare, accounts: names }, `account ${what}`);
    return { note: `${names.join(", ")}: ${what}.` };
  }
}

const missing = ({ bare }: Jid) => new StanzaError("item-not-found", `${bare}: no such account`);

async function count(users: AsyncIterable<string>): Promise<number> {
  let counted = 0;
  for await (const _ of users) {
    counted += 1;
    if (counted >= COUNTED_MAX) break;
  }
  return counted;
}

async function listed(name: string, users: AsyncIterable<string>): Promise<CommandDone> {
  const values: string[] = [];
  for await (const user of users) if (values.push(user) >= LISTED_MAX) break;
  const result: Field[] = [{ name, type: "text-multi", values }];
  return values.length < LISTED_MAX ? { result } : { result, note: `The first ${LISTED_MAX}.` };
}

const counted = (name: string, number: number): CommandDone => ({
  result: [{ name, values: [String(number)] }],
  ...(number >= COUNTED_MAX && { note: "There are more: counting stopped." }),
});

export const admin = defineModule({
  name: "admin",
  about: "What administrators do from their clients.",
  needs: ["roster"],
  implements: [{ xep: 133, version: "1.2" }],
  metrics: { run: counter("Administrators' commands that were done.") },
  setup({ counts, ...host }) {
    const does = new Administration(host);
    const nodes = new Nodes(host);
    type Run = (given: CommandGiven) => Promise<CommandDone>;
    const declareAs = (node: string, name: string, run: Run, fields: readonly Field[] = []) =>
      command(node, {
        name,
        access: "administrators",
        ...(fields.length > 0 && { form: { title: name, formType: ADMIN_NS, fields } }),
        run: async (given) => {
          const done = await run(given);
          counts.run += 1;
          return done;
        },
      });
    const declare = (node: string, ...declared: [string, Run, (readonly Field[])?]) =>
      declareAs(nodeOf(node), ...declared);
    const one = addressField("The account");
    const some = [addressesField("The accounts")];
    const text: Field = {
      name: "announcement",
      type: "text-multi",
      label: "What to say",
      values: [],
      isRequired: true,
    };
    const passwords = [
      secretField("password", "Password"),
      secretField("password-verify", "The same once more"),
    ];
    return [
      declare("add-user", "Add a user", (given) => does.add(given), [one, ...passwords]),
      declare("delete-user", "Delete users", (given) => does.delete(given), some),
      declare("disable-user", "Disable users", (given) => does.disable(given), some),
      declare("reenable-user", "Enable users again", (given) => does.enable(given), some),
      declare("end-user-session", "End sessions", (given) => does.endSessions(given), some),
      declare("change-user-password", "Change a password", (given) => does.changePassword(given), [
        one,
        secretField("password", "The new password"),
      ]),
      declare("get-registered-users-num", "Count accounts", (given) => does.countRegistered(given)),
      declare("get-registered-users-list", "List accounts", (given) => does.listRegistered(given)),
      declare("get-online-users-num", "Count users online", () => does.countOnline()),
      declare("get-online-users-list", "List users online", () => does.listOnline()),
      declareAs(NODES, "List the nodes of the cluster", () => nodes.list()),
      nodes.task,
      declare("announce", "Announce to all", (given) => does.announce(given), [text]),
    ];
  },
});
