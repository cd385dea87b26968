/**
 * XEP-0357 Push Notifications: the services that a user's clients named are told when a message is
 * stored, or reaches a session whose client does not look. By default they learn nothing of it but
 * that it is there.
 */
import { LRUCache } from "lru-cache";
import { Locks } from "../../base/locks.ts";
import { randomId } from "../../base/random.ts";
import { flag, integer, text } from "../../config/options.ts";
import { fromElement } from "../../stanza/envelope.ts";
import { StanzaError } from "../../stanza/error.ts";
import { Jid, JidError } from "../../stanza/jid.ts";
import { iqRequest } from "../../stanza/reply.ts";
import type { Element } from "../../xml/element.ts";
import { children, localName } from "../../xml/names.ts";
import type { ClientSession, Envelope, Host, Request } from "../contract.ts";
import {
  carried,
  consume,
  counter,
  defineModule,
  disco,
  EARLY,
  iq,
  LATE,
  on,
  PASS,
  stage,
} from "../contract.ts";
import type { Content } from "./notification.ts";
import { isUrgent, optionsIn, PUSH_NS, publication, summaryOf } from "./notification.ts";
import type { PushRegistration, Target } from "./registrations.ts";
import { keyOf, Registrations } from "./registrations.ts";

const STATE = "push";
const ID_PREFIX = "push.";
const HINTS = "urn:xmpp:hints";
/** Errors after which a service will not do better the next time. */
const PERMANENT: ReadonlySet<string> = new Set([
  "bad-request",
  "feature-not-implemented",
  "forbidden",
  "gone",
  "item-not-found",
  "not-allowed",
  "not-authorized",
]);
/** Targets whose failures in a row are remembered. */
const FAILING_MAX = 10_000;

interface Settings extends Content {
  readonly targetsMax: number;
  readonly failuresMax: number;
}

type Counts = Record<"sent" | "failed" | "disabled", number>;

/** What a session said about itself. */
interface Watched {
  isInactive: boolean;
  /** The newest message worth a notification that the client was sent. */
  newest?: Envelope;
  /** Those that this client enabled: others have their own sessions, or none. */
  readonly targets: Set<string>;
}

class Notifications {
  readonly #host: Host & { readonly counts: Counts };
  readonly #settings: Settings;
  readonly #registrations: Registrations;
  readonly #failures = new LRUCache<string, number>({ max: FAILING_MAX });
  /** By user: clients that enable at the same moment count each other. */
  readonly #locks = new Locks();

  constructor(host: Host & { readonly counts: Counts }, settings: Settings) {
    this.#host = host;
    this.#settings = settings;
    this.#registrations = new Registrations(host.documents);
  }

  enable(request: Request): Promise<undefined> {
    return this.#locks.run(request.from.bare, () => this.#enable(request));
  }

  async #enable({ from, payload, session }: Request): Promise<undefined> {
    const target = { service: serviceOf(payload), node: nodeOf(payload) };
    const known = await this.#registrations.list(from.bare);
    const key = keyOf(target);
    const { targetsMax } = this.#settings;
    if (known.length >= targetsMax && !known.some((one) => keyOf(one) === key)) {
      throw new StanzaError("resource-constraint", `Cannot enable: ${targetsMax} are the most`);
    }
    await this.#registrations.add(from.bare, { ...target, options: optionsIn(payload) });
    this.#failures.delete(`${from.bare} ${key}`);
    if (session !== undefined) watched(session).targets.add(key);
    return undefined;
  }

  async disable({ from, payload, session }: Request): Promise<undefined> {
    const service = serviceOf(payload);
    const node = payload.attrs.node === undefined ? undefined : nodeOf(payload);
    const known = await this.#registrations.list(from.bare);
    const named = known.filter(
      (one) => one.service === service && (node === undefined || one.node === node),
    );
    await this.#registrations.remove(from.bare, named);
    for (const one of named) {
      if (session !== undefined) watched(session).targets.delete(keyOf(one));
    }
    return undefined;
  }

  /** Nobody is there. */
  absent(envelope: Envelope): void {
    this.#start(envelope, () => true);
  }

  /** A client is sent it. Most have not enabled notifications. */
  sent(envelope: Envelope, session: ClientSession): void {
    const state = session.state.get(STATE) as Watched | undefined;
    if (state === undefined || state.targets.size === 0 || !isUrgent(envelope)) return;
    // It has lost its stream, or said that nobody looks.
    const isUnseen = session.isDetached === true || state.isInactive;
    if (isUnseen) this.#unseen(envelope, state);
    else state.newest = envelope;
  }

  #unseen(envelope: Envelope, { targets }: Watched): void {
    if (targets.size > 0) this.#start(envelope, (one) => targets.has(keyOf(one)));
  }

  /** Its stream broke: what it was sent last may not have arrived. */
  async lost(session: ClientSession): Promise<void> {
    const { newest } = watched(session);
    if (newest === undefined || session.whenAcknowledged === undefined) return;
    const isWaiting = new Promise<boolean>((resolve) => setImmediate(() => resolve(false)));
    if (!(await Promise.race([session.whenAcknowledged(), isWaiting])))
      this.#unseen(newest, watched(session));
  }

  #start(envelope: Envelope, isMeant: (one: PushRegistration) => boolean): void {
    this.#notify(envelope, isMeant).catch((error: unknown) => {
      this.#host.counts.failed += 1;
      this.#host.log.warn({ err: error }, "cannot notify");
    });
  }

  async #notify(envelope: Envelope, isMeant: (one: PushRegistration) => boolean): Promise<void> {
    const { router, random, counts } = this.#host;
    const user = envelope.to.toBare();
    const targets = (await this.#registrations.list(user.bare)).filter(isMeant);
    for (const target of targets) {
      // The answer finds its way by this: whichever node gets it knows what it is about.
      const id = `${ID_PREFIX}${randomId(random, 6)}.${Buffer.from(target.node).toString("base64url")}`;
      const to = Jid.prepared(target.service);
      const summary = summaryOf(envelope, this.#settings);
      const request = iqRequest({ type: "set", id, from: user, to }, publication(target, summary));
      counts.sent += 1;
      await router.route(fromElement(request, router.nowMs()));
    }
  }

  /** What a push service answers, to the account it was asked for. */
  async answered(envelope: Envelope): Promise<void> {
    const { from, to, id, type } = envelope;
    const node = Buffer.from(id.split(".")[2] ?? "", "base64url").toString();
    const target: Target = { service: from.full, node };
    const key = `${to.bare} ${keyOf(target)}`;
    if (type === "result") {
      this.#failures.delete(key);
      return;
    }
    this.#host.counts.failed += 1;
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    const isPermanent = PERMANENT.has(conditionOf(envelope.element()));
    if (!isPermanent && failures < this.#settings.failuresMax) return;
    this.#failures.delete(key);
    await this.#registrations.remove(to.bare, [target]);
    this.#host.counts.disabled += 1;
    this.#host.log.info(
      { user: to.bare, service: from.full },
      "push disabled: the service refuses",
    );
  }
}

function watched(session: ClientSession): Watched {
  const known = session.state.get(STATE) as Watched | undefined;
  if (known !== undefined) return known;
  const made: Watched = { isInactive: false, targets: new Set() };
  session.state.set(STATE, made);
  return made;
}

/** The name of the defined condition of an error stanza. */
function conditionOf(stanza: Element): string {
  const [error] = children(stanza).filter((one) => localName(one) === "error");
  const [condition] = error === undefined ? [] : children(error);
  return condition === undefined ? "" : localName(condition);
}

/** @throws StanzaError */
function serviceOf({ attrs }: Element): string {
  if (typeof attrs.jid !== "string") {
    throw new StanzaError("bad-request", "Cannot change notifications: no jid given");
  }
  try {
    return Jid.parse(attrs.jid).full;
  } catch (error) {
    if (error instanceof JidError) throw new StanzaError("jid-malformed", error.message);
    throw error;
  }
}

function nodeOf({ attrs }: Element): string {
  const node: unknown = attrs.node ?? "";
  if (typeof node === "string" && Buffer.byteLength(node) <= 1_023 && !node.includes("\n")) {
    return node;
  }
  throw new StanzaError("bad-request", "Cannot change notifications: the node is too long");
}

/** XEP-0334: what is not stored is no reason to wake anybody. */
const isKept = ({ children: parts }: Envelope): boolean =>
  !parts.some(
    ({ name, ns }) => ns === HINTS && (name === "no-store" || name === "no-permanent-store"),
  );

export const push = defineModule({
  name: "push",
  about: "Wakes clients that are away, through the services they name.",
  implements: [{ xep: 357, version: "0.4.1" }],
  metrics: {
    sent: counter("Notifications sent to push services."),
    failed: counter("Notifications that push services refused, or that could not be made."),
    disabled: counter("Registrations removed because their push service refuses."),
  },
  options: {
    targetsMax: integer({ about: "Push services of one user.", default: 20, min: 1, max: 1_000 }),
    failuresMax: integer({
      about: "Failures in a row, of the kind that passes, before a service is forgotten.",
      default: 50,
      min: 1,
      max: 10_000,
    }),
    withSender: flag({ about: "Tells push services who wrote.", default: false }),
    withBody: flag({ about: "Tells push services what was written.", default: false }),
    text: text({ about: "Told instead of what was written.", default: "New message" }),
  },
  setup(host, settings) {
    const notifications = new Notifications(host, settings);
    const isAnswer = ({ kind, type, id }: Envelope) =>
      kind === "iq" && (type === "result" || type === "error") && id.startsWith(ID_PREFIX);
    return [
      disco("account", { features: [PUSH_NS] }),
      carried<Watched>(
        STATE,
        ({ targets }) => [...targets],
        (targets: readonly string[]) => ({ isInactive: false, targets: new Set(targets) }),
      ),
      iq.set("self", PUSH_NS, "enable", (request) => notifications.enable(request)),
      iq.set("self", PUSH_NS, "disable", (request) => notifications.disable(request)),
      stage("inbound", EARLY, (envelope) => {
        if (!isAnswer(envelope) || !envelope.to.isBare) return PASS;
        return consume(notifications.answered(envelope));
      }),
      stage("unavailable", LATE, (envelope) => {
        if (isUrgent(envelope) && isKept(envelope)) notifications.absent(envelope);
        return PASS;
      }),
      stage("delivery", LATE, (envelope, session) => {
        notifications.sent(envelope, session);
        return PASS;
      }),
      on("detached", (session) => notifications.lost(session)),
      on("clientState", (session, isActive) => {
        watched(session).isInactive = !isActive;
      }),
    ];
  },
});
