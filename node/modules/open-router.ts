/** The router with its modules: what main.ts opens. */
import { z } from "zod";
import { ConfigError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { Uploads } from "../http/upload/contract.ts";
import type { RouterOptions } from "../router/router.ts";
import { Router } from "../router/router.ts";
import type { BoundNote, InlineFeature } from "../session/contract.ts";
import type { Credentials } from "../stores/contract.ts";
import { serialize } from "../xml/write.ts";
import { createAccount } from "./account.ts";
import { clusterOf } from "./contract/cluster.ts";
import type { Module, RouterServices } from "./contract.ts";
import type { Told } from "./describe.ts";
import { describe } from "./describe.ts";
import type { Loaded, SharedHost } from "./registry.ts";
import { load } from "./registry.ts";

export interface OpenRouterOptions extends RouterOptions {
  /** Undefined where the node takes no files. */
  readonly uploads?: Uploads | undefined;
  /** Whether what can wait should; never if left out. */
  readonly isBehind?: () => boolean;
  readonly random: Random;
  /** Those of the domains that are for guests. */
  readonly guestDomains: readonly string[];
  readonly modules: readonly Module[];
  /** The section `modules` of the configuration; defaults are filled in where it says nothing. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly software: { readonly name: string; readonly version: string };
  /** SCRAM keys of a password. @throws PasswordRefused */
  readonly credentialsFor: (password: string) => Promise<Credentials>;
}

export interface OpenedRouter {
  readonly router: Router;
  /** What service discovery answers for the server. */
  readonly features: readonly string[];
  /** Modules' metrics by module name. */
  readonly counts: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** What modules add to the features of a stream whose client has logged in, as XML. */
  readonly announced: string;
  /** What a client may ask modules for while its resource is bound. */
  readonly inline: readonly InlineFeature[];
  /** What modules tell a client whose resource is bound along with its login. */
  readonly boundNotes: readonly BoundNote[];
  /**
   * Makes an account (XEP-0077 before login; whether that is allowed is the door's business).
   * @param user the prepared bare address
   * @throws StanzaError `not-acceptable` for a password nobody may have; Unavailable
   */
  readonly register: (user: string, password: string) => Promise<"created" | "exists">;
}

/** @throws ConfigError when modules do not fit together or an option is wrong */
export function openRouter(options: OpenRouterOptions): OpenedRouter {
  let router: Router | undefined;
  let loaded: Loaded | undefined;
  const { stores, sessions, domains, clock, random, log } = options;
  const ready = () => {
    if (router !== undefined) return router;
    throw new ConfigError("Cannot use router: modules are being set up");
  };
  const told: Told = {
    software: options.software,
    features: () => loaded?.features ?? [],
    disco: () => loaded?.disco ?? [],
  };
  const host: SharedHost = {
    ...told,
    commands: () => loaded?.commands ?? [],
    describe: (target) => describe(target, told),
    accounts: stores.accounts,
    rosters: stores.rosters,
    offline: stores.offline,
    archive: stores.archive,
    documents: stores.documents,
    uploads: options.uploads,
    pubsub: stores.pubsub,
    // Modules are set up before the router that their handlers run in; they use it afterwards.
    router: lateBound(ready),
    clusterFor: (module) => clusterOf(() => ready().cluster, module),
    sessions,
    domains,
    components: [...(options.components?.domains ?? [])],
    isGuest: ({ domain }) => options.guestDomains.includes(domain),
    self: options.selfIncarnation,
    isBehind: options.isBehind ?? (() => false),
    credentialsFor: options.credentialsFor,
    clock,
    random,
    log,
  };
  loaded = load(options.modules, host, parsedOptions(options.modules, options.options));
  const { registrations, features, announced } = loaded;
  router = new Router(options, registrations);
  const { accounts, credentialsFor } = host;
  return {
    router,
    features,
    counts: loaded.counts,
    inline: loaded.inline,
    boundNotes: loaded.boundNotes,
    announced: announced.map(({ element }) => serialize(element())).join(""),
    register: (user, password) => createAccount({ accounts, credentialsFor }, user, password),
  };
}

function lateBound(ready: () => Router): RouterServices {
  return {
    refuse: (envelope, condition) => ready().refuse(envelope, condition),
    answer: (envelope) => ready().answer(envelope),
    route: (envelope) => ready().route(envelope),
    broadcast: (template, users, except) => ready().broadcast(template, users, except),
    push: (template, user) => ready().push(template, user),
    reply: (template, full, node) => ready().reply(template, full, node),
    show: (session, envelope) => ready().show(session, envelope),
    stateChanged: (session, key, value) => ready().stateChanged(session, key, value),
    publish: (session, available, priority) => ready().publish(session, available, priority),
    after: (envelope, task) => ready().after(envelope, task),
    tell: (event, session) => ready().tell(event, session),
    wake: (user) => ready().wake(user),
    disconnect: (user, condition, resource) => ready().disconnect(user, condition, resource),
    users: () => ready().users(),
    isAvailable: (user) => ready().isAvailable(user),
    predecessorsOf: (session) => ready().predecessorsOf(session),
    claim: (name) => ready().claim(name),
    whereabouts: (user) => ready().whereabouts(user),
    get isAlone() {
      return ready().isAlone;
    },
    isDead: (node) => ready().isDead(node),
    mayBeTwice: (origin, receivedMs) => ready().mayBeTwice(origin, receivedMs),
    nowMs: () => ready().nowMs(),
    get deliveries() {
      return ready().deliveries;
    },
  };
}

function parsedOptions(
  modules: readonly Module[],
  given: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const parsed: Record<string, unknown> = {};
  for (const { name, options } of modules) {
    const result = z.strictObject(options).safeParse(given[name] ?? {});
    if (!result.success) {
      throw new ConfigError(`Cannot load module ${name}: ${z.prettifyError(result.error)}`);
    }
    parsed[name] = result.data;
  }
  return parsed;
}
