/** XEP-0115 Entity Capabilities: the server's own, and what the clients of this node can do. */
import { LRUCache } from "lru-cache";
import type { Clock } from "../../base/clock.ts";
import { integer } from "../../config/options.ts";
import { CLIENT_NS } from "../../stanza/reply.ts";
import type { Element } from "../../xml/element.ts";
import { el } from "../../xml/element.ts";
import { child, children } from "../../xml/names.ts";
import { toBytes } from "../../xml/write.ts";
import type { CapsService, ClientSession, Envelope } from "../contract.ts";
import {
  announce,
  CONSUME,
  carried,
  counter,
  defineModule,
  disco,
  FIRST,
  gauge,
  on,
  PASS,
  service,
  stage,
} from "../contract.ts";
import type { Said } from "./inquiries.ts";
import { Inquiries } from "./inquiries.ts";
import { INFO, isKnownHash, partsOf, verificationString, verOf } from "./verification.ts";

const NS = "http://jabber.org/protocol/caps";
/** Names this software; a name for it that nobody else can have, and no address. */
const SOFTWARE = "urn:uuid:8f0c1b5e-6a0d-4c6b-9d53-3f6f4a2f7c41";
const STATE = "caps";
/** Longer descriptions are kept for nobody. */
const STRING_LENGTH_MAX = 32_768;

type Features = ReadonlySet<string>;
type Watcher = (session: ClientSession, features: Features) => void;

/** What is remembered of one session. */
interface Known {
  /** What its client last said it is. */
  said: Said | undefined;
  /** Shared by all who say the same. */
  features: Features | undefined;
}

type Counts = Record<"cached" | "asked" | "proven" | "doubtful" | "shed", number>;

interface Limits {
  readonly cacheMax: number;
  readonly inquiriesMax: number;
  readonly answerSeconds: number;
}

class Capabilities implements CapsService {
  readonly #counts: Counts;
  readonly #cache: LRUCache<string, Features>;
  readonly #inquiries: Inquiries;
  readonly #watchers: Watcher[] = [];

  constructor(clock: Clock, counts: Counts, { cacheMax, inquiriesMax, answerSeconds }: Limits) {
    this.#counts = counts;
    this.#cache = new LRUCache({ max: cacheMax });
    const limits = { inquiriesMax, answerMs: answerSeconds * 1_000 };
    this.#inquiries = new Inquiries(this, limits, clock);
  }

  features(session: ClientSession): Features | undefined {
    return (session.state.get(STATE) as Known | undefined)?.features;
  }

  watch(watcher: Watcher): void {
    this.#watchers.push(watcher);
  }

  /** What a client sends passes by here before anybody else sees it. */
  outbound(envelope: Envelope, session: ClientSession) {
    const { kind, type, to, children: parts } = envelope;
    if (kind === "iq" && (type === "result" || type === "error")) {
      if (to.full !== session.jid.domain) return PASS;
      const query = type === "result" ? child(envelope.element(), "query", INFO) : undefined;
      return this.#inquiries.answer(session, envelope.id, query) ? CONSUME : PASS;
    }
    if (kind !== "presence" || to.full !== session.jid.bare) return PASS;
    if (type === "unavailable") this.ended(session);
    else if (type === "available" && parts.some(({ name, ns }) => name === "c" && ns === NS)) {
      this.#learn(session, envelope);
    }
    return PASS;
  }

  ended(session: ClientSession): void {
    const known = session.state.get(STATE) as Known | undefined;
    session.state.delete(STATE);
    if (known?.said !== undefined) this.#inquiries.forget(session, known.said.key);
  }

  #learn(session: ClientSession, envelope: Envelope): void {
    const said = read(child(envelope.element(), "c", NS), session);
    const known = (session.state.get(STATE) as Known | undefined) ?? emptyKnown();
    session.state.set(STATE, known);
    if (said === undefined || known.said?.key === said.key) {
      if (said !== undefined && known.features === undefined) this.#want(session, known, said);
      return;
    }
    if (known.said !== undefined) this.#inquiries.forget(session, known.said.key);
    known.features = undefined;
    this.#want(session, known, said);
  }

  #want(session: ClientSession, known: Known, said: Said): void {
    known.said = said;
    const cached = this.#cache.get(said.key);
    if (cached !== undefined) this.#settle(session, known, cached);
    else if (!this.#inquiries.want(session, said)) this.#counts.shed += 1;
  }

  #settle(session: ClientSession, known: Known, features: Features): void {
    known.features = features;
    for (const watcher of this.#watchers) watcher(session, features);
  }

  ask(session: ClientSession, id: string, { node }: Said): boolean {
    const attributes = { from: session.jid.domain, to: session.jid.full };
    const query = el("query", { xmlns: INFO, node });
    this.#counts.asked += 1;
    return session.send(
      toBytes(el("iq", { xmlns: CLIENT_NS, type: "get", id, ...attributes }, query)),
    );
  }

  answered(
    session: ClientSession,
    said: Said,
    query: Element | undefined,
    all: ReadonlySet<ClientSession>,
  ): boolean {
    const string = query && verificationString(query);
    if (query === undefined || string === undefined || string.length > STRING_LENGTH_MAX) {
      this.#counts.doubtful += 1;
      return false;
    }
    const isProven = isKnownHash(said.hash) && verOf(string, said.hash) === said.ver;
    // 5.4: what does not fit its hash may be true of the client that said it, and of no other.
    const features = isProven ? partsOf(string) : featuresOf(query);
    if (isProven) this.#cache.set(said.key, features);
    this.#counts[isProven ? "proven" : "doubtful"] += 1;
    this.#counts.cached = this.#cache.size;
    for (const one of isProven ? all : [session]) {
      const known = one.state.get(STATE) as Known | undefined;
      if (known?.said?.key === said.key) this.#settle(one, known, features);
    }
    return isProven || all.size === 1;
  }
}

const emptyKnown = (): Known => ({ said: undefined, features: undefined });

const featuresOf = (query: Element): Features =>
  new Set(children(query, "feature", INFO).map(({ attrs }) => String(attrs.var)));

/** What `<c/>` says; undefined when it says nothing that could be asked about. */
function read(element: Element | undefined, { id }: ClientSession): Said | undefined {
  const { node, ver, hash: hashName = "" } = element?.attrs ?? {};
  if (typeof node !== "string" || typeof ver !== "string" || typeof hashName !== "string") {
    return undefined;
  }
  // Without a hash that can be checked (section 8, and functions unknown here) nothing is shared.
  const key = isKnownHash(hashName) ? `${hashName} ${ver}` : `${id} ${node} ${ver}`;
  return { key, node: `${node}#${ver}`, hash: hashName, ver };
}

/** What is not known yet is asked again with the client's next presence. */
const carriedFeatures = carried<Known>(
  STATE,
  ({ said, features }) => ({ said, features: features && [...features] }),
  ({ said, features }: { said?: Said; features?: readonly string[] }) => ({
    said,
    features: features && new Set(features),
  }),
);

export const caps = defineModule({
  name: "caps",
  about: "Knows what clients can do, asked once for each kind of client.",
  provides: ["caps"],
  features: [NS],
  implements: [{ xep: 115, version: "1.6.0" }],
  options: {
    cacheMax: integer({
      about: "Kinds of client whose features are remembered.",
      default: 1_000,
      min: 1,
      max: 100_000,
    }),
    inquiriesMax: integer({
      about: "Kinds of client that may be asked about at the same time.",
      default: 500,
      min: 1,
      max: 10_000,
    }),
    answerSeconds: integer({
      about: "How long a client may take to say what it can do, before another one is asked.",
      default: 10,
      min: 1,
      max: 300,
    }),
  },
  metrics: {
    cached: gauge("Kinds of client whose features are remembered."),
    asked: counter("Questions to clients about what they can do."),
    proven: counter("Answers of clients that were what their hash says."),
    doubtful: counter("Answers of clients that came too late, or were not what their hash says."),
    shed: counter("Kinds of client not asked about, because too many were asked about already."),
  },
  setup(host, limits) {
    const capabilities = new Capabilities(host.clock, host.counts, limits);
    const info = () => host.describe("server");
    const ver = () =>
      verOf(verificationString(el("query", { xmlns: INFO }, info())) ?? "", "sha-1");
    return [
      service("caps", capabilities),
      carriedFeatures,
      stage("outbound", FIRST, (envelope, session) => capabilities.outbound(envelope, session)),
      on("ended", (session) => capabilities.ended(session)),
      // 6.3: the server's own, in the features of a stream and as a node of the server.
      announce(() => el("c", { xmlns: NS, hash: "sha-1", node: SOFTWARE, ver: ver() })),
      disco("server", {
        info: (_, node) => (node === `${SOFTWARE}#${ver()}` ? info() : undefined),
      }),
    ];
  },
});
