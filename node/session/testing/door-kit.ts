/** A door that really listens, with a router that only remembers. */

import { makeCredentials } from "../../auth/credentials.ts";
import { PasswordWork } from "../../auth/password-work.ts";
import { testDecoys } from "../../auth/testing/context.ts";
import type { Clock } from "../../base/clock.ts";
import { systemClock } from "../../base/clock.ts";
import { FakeClock } from "../../base/fake-clock.ts";
import type { Logger } from "../../base/log.ts";
import { systemRandom } from "../../base/random.ts";
import { issue, makeAuthority } from "../../config/certificates.ts";
import type { Route, Routes } from "../../routes/contract.ts";
import { openMemoryRoutes } from "../../routes/memory.ts";
import type { Envelope } from "../../stanza/contract.ts";
import { makeEnvelope } from "../../stanza/envelope.ts";
import { Jid } from "../../stanza/jid.ts";
import type { Accounts, Credentials } from "../../stores/contract.ts";
import { TlsContexts } from "../../stream/tls.ts";
import type { ParsedStanza } from "../../xml/contract.ts";
import { parseStanza } from "../../xml/parser.ts";
import type { ClientSession, SessionEvents } from "../contract.ts";
import type { ClientDoor, ClientDoorOptions } from "../door.ts";
import { openClientDoor } from "../door.ts";
import type { ClientDoorConfig } from "../door-context.ts";
import { RawClient } from "./raw-client.ts";

export const CONFIG: ClientDoorConfig = {
  host: "127.0.0.1",
  port: 0,
  directTls: { port: 0 },
  tls: "offered",
  plaintextAuthOnLoopback: true,
  stanzaBytesMax: 262_144,
  connectionsMax: 1_000,
  connectionsPerAddressMax: 0,
  failedLoginsPerAddressPerMinute: 0,
  failedLoginsPerAccountPerMinute: 0,
  negotiationSeconds: 30,
  outboxStanzasMax: 1_000,
  resumeSeconds: 300,
  detachedMax: 1_000,
};

const authority = await makeAuthority("test authority");
/** PEM: what a client must trust. */
export const AUTHORITY: string = authority.certificate;
export const CERTIFICATE = await issue(authority, {
  commonName: "localhost",
  names: ["localhost"],
});
const ROMEO = await makeCredentials("secret", { iterations: 4_096 });

/** The accounts of a test: romeo@localhost with the password "secret", and what is added. */
export class TestAccounts implements Pick<Accounts, "credentials" | "addKeys"> {
  readonly users = new Map<string, Credentials>([["romeo@localhost", ROMEO]]);
  /** Thrown instead of an answer. */
  failure: Error | undefined;
  reads = 0;
  /** What an answer waits for. */
  wait: Promise<void> | undefined;

  async credentials(user: string): Promise<Credentials | undefined> {
    this.reads += 1;
    await this.wait;
    if (this.failure !== undefined) throw this.failure;
    return this.users.get(user);
  }

  async addKeys(user: string, known: Credentials, credentials: Credentials): Promise<boolean> {
    if (this.users.get(user) !== known) return false;
    this.users.set(user, credentials);
    return true;
  }
}

export interface Ended {
  readonly session: ClientSession;
  readonly unacknowledged: readonly Envelope[];
}

/** What the router would do, as far as the door can see. */
export class TestRouter implements SessionEvents {
  readonly stanzas: ParsedStanza[] = [];
  /** Of each stanza: its session and its place there. */
  readonly counts: string[] = [];
  readonly bound: { session: ClientSession; replaced: Route | undefined }[] = [];
  readonly ended: Ended[] = [];
  /** What happened, in order, for tests about order. */
  readonly order: string[] = [];
  accept: (stanza: ParsedStanza) => void | Promise<void> = () => {};
  welcome: (session: ClientSession) => void | Promise<void> = () => {};
  part: (ended: Ended) => Promise<void> = async () => {};
  /** Set by tests of sessions that are on another node. */
  fetchSession?: NonNullable<SessionEvents["fetchSession"]>;
  isKept?: NonNullable<SessionEvents["isKept"]>;
  /** Set by tests of sessions that another node has copies of. */
  shadow?: NonNullable<SessionEvents["shadow"]>;

  onStanza(session: ClientSession, stanza: ParsedStanza, count: number): void | Promise<void> {
    this.stanzas.push(stanza);
    this.counts.push(`${session.id} ${count}`);
    return this.accept(stanza);
  }

  onBound(session: ClientSession, replaced: Route | undefined): void | Promise<void> {
    this.bound.push({ session, replaced });
    this.order.push(`bound ${session.id}`);
    return this.welcome(session);
  }

  onClientState(session: ClientSession, isActive: boolean): void {
    this.order.push(`${isActive ? "active" : "inactive"} ${session.id}`);
  }

  onDetached(session: ClientSession): void {
    this.order.push(`detached ${session.id}`);
  }

  onResumed(session: ClientSession): void {
    this.order.push(`resumed ${session.id}`);
  }

  async onEnded(session: ClientSession, unacknowledged: readonly Envelope[]): Promise<void> {
    await this.part({ session, unacknowledged });
    this.ended.push({ session, unacknowledged });
    this.order.push(`ended ${session.id}`);
  }
}

export interface Kit extends AsyncDisposable {
  readonly door: ClientDoor;
  readonly router: TestRouter;
  readonly accounts: TestAccounts;
  readonly routes: ClientDoorOptions["routes"];
  readonly tls: TlsContexts;
  /** "event" of every warning and error. */
  readonly complaints: string[];
  connect(localAddress?: string): Promise<RawClient>;
  /** A client that is logged in and bound as romeo@localhost/`resource`. */
  bound(resource?: string): Promise<{ client: RawClient; session: ClientSession }>;
}

type Overrides = Partial<Omit<ClientDoorOptions, "config">> & {
  readonly config?: Partial<ClientDoorConfig>;
};

function complaining(complaints: string[]): Logger {
  const note = (_fields: object, event: string) => void complaints.push(event);
  const log: Logger = { debug() {}, info() {}, warn: note, error: note, child: () => log };
  return log;
}

/** The real routes of a node that is alone. */
export const testRoutes = (): Routes =>
  openMemoryRoutes({
    self: {
      incarnation: "this-node",
      name: "test",
      meshHost: "127.0.0.1",
      meshPort: 0,
      version: "0",
      zone: "z",
    },
    clock: systemClock,
    events: {
      onNodeUp() {},
      onNodeLapsed() {},
      onNodeBack() {},
      onNodeDown() {},
      onRouteLost() {},
      onNotice() {},
      onLeaseLost() {},
      onLeaseRegained() {},
    },
  });

export async function openKit(overrides: Overrides = {}): Promise<Kit> {
  const router = new TestRouter();
  const accounts = new TestAccounts();
  const complaints: string[] = [];
  const selfIncarnation = "this-node";
  const routes = overrides.routes ?? testRoutes();
  const tls = new TlsContexts(CERTIFICATE);
  const { config, ...rest } = overrides;
  const door = await openClientDoor({
    domains: new Set(["localhost", "example.org"]),
    accounts,
    clock: systemClock,
    random: systemRandom,
    tls,
    events: router,
    selfIncarnation,
    log: complaining(complaints),
    scramIterations: 4_096,
    decoys: testDecoys(),
    resourceSecret: Buffer.from("of all nodes"),
    passwords: new PasswordWork(),
    ...rest,
    routes,
    config: { ...CONFIG, ...config },
  });
  const clients: RawClient[] = [];
  const connect = async (localAddress?: string) => {
    const client = await RawClient.connect(door.port, localAddress);
    clients.push(client);
    return client;
  };
  return {
    door,
    router,
    accounts,
    routes,
    tls,
    complaints,
    connect,
    async bound(resource = "orchard") {
      const client = await connect();
      await logIn(client);
      await client.bind(resource);
      const session = router.bound.at(-1)?.session;
      if (session === undefined) throw new Error("Cannot test: no session was bound");
      return { client, session };
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.destroy();
      await passing(overrides.clock, door[Symbol.asyncDispose]());
    },
  };
}

/** Waits for work that itself waits for a clock which stands still. */
export async function passing(clock: Clock | undefined, work: PromiseLike<void>): Promise<void> {
  let isDone = false;
  const done = work.then(() => {
    isDone = true;
  });
  while (clock instanceof FakeClock && !isDone) {
    clock.advance(50);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await done;
}

/** Opens the stream, logs in with PLAIN and opens it again. */
export async function logIn(client: RawClient, user = "romeo"): Promise<void> {
  await client.open();
  client.plain(user, "secret");
  await client.read(/<success[^>]*>/);
  await client.open();
}

let count = 0;
/** A message to romeo, with a body that tells it from others. */
export function message(body: string): Envelope {
  count += 1;
  const bytes = Buffer.from(
    `<message xmlns='jabber:client' from='juliet@localhost/balcony' to='romeo@localhost' ` +
      `id='m${count}' type='chat'><body>${body}</body></message>`,
  );
  return makeEnvelope(parseStanza(bytes, new Map()), {
    from: Jid.parse("juliet@localhost/balcony"),
    to: Jid.parse("romeo@localhost"),
    receivedMs: 0,
  });
}

export const bodyOf = ({ bytes }: Envelope): string =>
  /<body>(.*)<\/body>/.exec(bytes.toString())?.[1] ?? "";

/** Resolves when `condition` holds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const startMs = performance.now();
  while (!condition()) {
    if (performance.now() - startMs > 30_000) throw new Error(`Cannot wait any more: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
