/**
 * XEP-0050 Ad-Hoc Commands: what modules registered, listed in service discovery to whoever may use
 * it. A command has at most one form; what was begun is remembered on the node of the session that
 * began it, for a bounded time.
 */
import { LRUCache } from "lru-cache";
import { ConfigError } from "../base/errors.ts";
import { randomId } from "../base/random.ts";
import { integer, list } from "../config/options.ts";
import { StanzaError } from "../stanza/error.ts";
import type { FilledForm } from "../stanza/form.ts";
import { FORM_NS, formElement, formIn } from "../stanza/form.ts";
import { Jid, JidError } from "../stanza/jid.ts";
import type { Element } from "../xml/element.ts";
import { el } from "../xml/element.ts";
import type { CommandDone, CommandRegistration, Host, Request } from "./contract.ts";
import { counter, defineModule, disco, iq } from "./contract.ts";

const NS = "http://jabber.org/protocol/commands";
const ACTIONS: ReadonlySet<string> = new Set(["execute", "complete", "cancel", "next", "prev"]);
const NO_FIELDS: FilledForm["fields"] = new Map();

interface Begun {
  readonly by: string;
  readonly node: string;
  readonly untilMs: number;
}

interface Limits {
  readonly sessionsMax: number;
  readonly sessionSeconds: number;
}

const refused = (condition: "bad-request" | "not-allowed", application: string) =>
  new StanzaError(condition, "", { application: el(application, { xmlns: NS }) });

class Commands {
  readonly #host: Host;
  readonly #administrators: ReadonlySet<string>;
  readonly #begun: LRUCache<string, Begun>;
  readonly #beginMs: number;

  constructor(host: Host, administrators: ReadonlySet<string>, limits: Limits) {
    this.#host = host;
    this.#administrators = administrators;
    this.#begun = new LRUCache({ max: limits.sessionsMax });
    this.#beginMs = limits.sessionSeconds * 1_000;
  }

  /** Those that this user may use. */
  for({ bare, domain }: Jid): readonly CommandRegistration[] {
    const isAdministrator = this.#administrators.has(bare);
    const isOurs = this.#host.domains.includes(domain);
    return this.#host
      .commands()
      .filter(({ access }) => (access === "administrators" ? isAdministrator : isOurs));
  }

  async handle(request: Request): Promise<Element> {
    const { payload, from } = request;
    const { node, action = "execute", sessionid } = payload.attrs as Record<string, string>;
    const known = this.#host.commands().find((one) => one.node === node);
    if (known === undefined) throw new StanzaError("item-not-found");
    const command = this.for(from).find((one) => one === known);
    if (command === undefined) throw new StanzaError("forbidden");
    if (!ACTIONS.has(action)) throw refused("bad-request", "malformed-action");
    if (sessionid === undefined) return this.#begin(command, request, action);
    const begun = this.#begun.get(sessionid);
    if (begun === undefined || begun.by !== from.full || begun.node !== node) {
      throw refused("bad-request", "bad-sessionid");
    }
    if (action === "prev") throw refused("bad-request", "bad-action");
    this.#begun.delete(sessionid);
    if (begun.untilMs < this.#host.clock.monotonicMs()) {
      throw refused("not-allowed", "session-expired");
    }
    if (action === "cancel") {
      return el("command", { xmlns: NS, node, sessionid, status: "canceled" });
    }
    return this.#finish(command, request, sessionid);
  }

  async #begin(command: CommandRegistration, { from }: Request, action: string) {
    if (action !== "execute") throw refused("bad-request", "bad-action");
    const { node, form } = command;
    const { random, clock } = this.#host;
    const sessionid = randomId(random);
    if (form === undefined) {
      return this.#completed(command, sessionid, await command.run({ from, fields: NO_FIELDS }));
    }
    const untilMs = clock.monotonicMs() + this.#beginMs;
    this.#begun.set(sessionid, { by: from.full, node, untilMs });
    return el("command", { xmlns: NS, node, sessionid, status: "executing" }, [
      el("actions", { execute: "complete" }, el("complete")),
      formElement("form", form.formType, form.fields, form),
    ]);
  }

  async #finish(command: CommandRegistration, { from, payload }: Request, sessionid: string) {
    const filled = formIn(payload);
    if (filled?.type !== "submit") throw refused("bad-request", "bad-payload");
    for (const { name, isRequired } of command.form?.fields ?? []) {
      const values = filled.fields.get(name) ?? [];
      if (isRequired === true && values.every((value) => value.trim() === "")) {
        throw new StanzaError("bad-request", `Cannot run command: ${name} is missing`);
      }
    }
    const done = await command.run({ from, fields: filled.fields });
    return this.#completed(command, sessionid, done);
  }

  #completed({ node, form }: CommandRegistration, sessionid: string, done: CommandDone): Element {
    const { note, result } = done;
    return el("command", { xmlns: NS, node, sessionid, status: "completed" }, [
      note === undefined ? undefined : el("note", { type: "info" }, note),
      result && formElement("result", form?.formType ?? NS, result),
    ]);
  }
}

/** @throws ConfigError for an address that is none */
function addressesOf(texts: readonly string[]): ReadonlySet<string> {
  const parsed = texts.map((text) => {
    try {
      return Jid.parse(text).bare;
    } catch (error) {
      if (!(error instanceof JidError)) throw error;
      throw new ConfigError(`Cannot use modules.adhoc.admins: ${text}: ${error.message}`);
    }
  });
  return new Set(parsed);
}

export const adhoc = defineModule({
  name: "adhoc",
  about: "Commands that people run from their clients.",
  features: [NS, FORM_NS],
  implements: [{ xep: 50, version: "1.3.0" }],
  metrics: { run: counter("Commands that were asked for.") },
  options: {
    admins: list({
      about: "Bare addresses of the administrators.",
      min: 0,
      max: 1_000,
      default: [],
    }),
    sessionsMax: integer({
      about: "Commands begun and not finished that a node remembers.",
      default: 1_000,
      min: 10,
      max: 100_000,
    }),
    sessionSeconds: integer({
      about: "Time there is to fill in a form.",
      default: 900,
      min: 10,
      max: 86_400,
    }),
  },
  setup({ counts, ...host }, { admins, ...limits }) {
    const commands = new Commands(host, addressesOf(admins), limits);
    const item = (jid: string) => (one: CommandRegistration) =>
      el("item", { jid, node: one.node, name: one.name });
    return [
      iq.set("server", NS, "command", (request) => {
        counts.run += 1;
        return commands.handle(request);
      }),
      disco("server", {
        items: ({ from, to }, node) =>
          node === NS ? commands.for(from).map(item(to.full)) : undefined,
        info: ({ from }, node) => {
          if (node === NS)
            return [el("identity", { category: "automation", type: "command-list" })];
          const found = commands.for(from).find((one) => one.node === node);
          if (found === undefined) return undefined;
          return [
            el("identity", { category: "automation", type: "command-node", name: found.name }),
            el("feature", { var: NS }),
            el("feature", { var: FORM_NS }),
          ];
        },
      }),
    ];
  },
});
