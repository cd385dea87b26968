/**
 * Which node goes on with a session: the one that its client resumes it at (moves.ts), and when a
 * node dies, the shadow that has its copy (shadows.ts for our sessions, keeping.ts for those of
 * others).
 */
import { pause } from "../base/clock.ts";
import type { Mesh } from "../mesh/contract.ts";
import { FrameKind } from "../mesh/contract.ts";
import type { NodeRecord, Route } from "../routes/contract.ts";
import { shadowsOf } from "../shadow/choose.ts";
import type { ArrearsParts } from "./arrears.ts";
import { Arrears } from "./arrears.ts";
import type { Asks } from "./asks.ts";
import type { Endings } from "./ended.ts";
import type { MoveAnswer, MoveFrame } from "./frames.ts";
import type { Adopt, KeepingParts, KeptAnswer } from "./keeping.ts";
import { Keeping } from "./keeping.ts";
import { Moves } from "./moves.ts";
import { Offers } from "./offers.ts";
import { encodeMirror, FORGOTTEN } from "./shadow-wire.ts";
import type { ShadowParts } from "./shadows.ts";
import { Shadows } from "./shadows.ts";

/** How often a new session asks for what a dead node left of the one before it, or a node that goes for others. */
const LOOKS_MAX = 60;
const PAUSE_MS = 500;
/** Each waits two seconds for whoever has something. */
const LEFT_LOOKS_MAX = 15;
/** How soon this node learns that another has left. */
const GONE_MS = 1_000;
/** Of several answers the first of these counts. */
const ANSWERS: readonly KeptAnswer[] = ["kept", "perhaps"];

export interface SuccessionParts
  extends Omit<KeepingParts, "adopt" | "isLapsed" | "onForgotten">,
    Omit<ArrearsParts, "routes"> {
  /** Undefined for a single node. */
  readonly mesh: Mesh | undefined;
  readonly endings: Endings;
  readonly asks: Asks;
  /** Goes on with a session of a dead node. Undefined: sessions have no shadows. */
  readonly adopt: Adopt | undefined;
  /** Where this node is. */
  readonly zone: string;
}

export class Succession {
  readonly moves: Moves;
  readonly shadows: Shadows | undefined;
  readonly keeping: Keeping | undefined;
  readonly offers: Offers;
  readonly #parts: SuccessionParts;
  /** Nodes without a lease that go on. */
  readonly #lapsed = new Set<string>();

  constructor(parts: SuccessionParts) {
    this.#parts = parts;
    const { mesh, adopt, zone } = parts;
    const isKept = (id: string) => this.keeping?.isKept(id) ?? "gone";
    this.moves = new Moves({ ...parts, isKept });
    const isReady = () => this.keeping?.isReady === true;
    this.offers = new Offers({ ...parts, isReady, fetch: (route) => this.moves.fetch(route) });
    const offer: ShadowParts["offer"] = (...session) => this.offers.make(...session);
    if (mesh === undefined || adopt === undefined) return;
    this.shadows = new Shadows({ ...parts, mesh, zone, leave: () => this.#leave(), offer });
    const sayForgotten = () => this.#sayForgotten([...parts.routes.nodes.keys()]);
    const isLapsed = (node: string) => this.#lapsed.has(node);
    this.keeping = new Keeping({
      ...{ ...parts, adopt, isLapsed },
      onForgotten: () => void sayForgotten(),
    });
    parts.passedOver.begin();
    new Arrears(parts).start();
  }

  /**
   * Any node may have a copy of it. Never rejects.
   * @param isPatient if there is one, it may take a while, until it is decided who goes on with it
   */
  async isKept(user: string, sessionId: string, isPatient = false): Promise<KeptAnswer> {
    const { keeping, moves } = this;
    if (keeping === undefined) return "gone";
    const sought = { user, resource: "", node: "", session: sessionId };
    const own = isPatient ? await keeping.decided(sought) : keeping.isKept(sessionId);
    if (own === "kept" || (isPatient && own !== "gone")) return own;
    const all = [...this.#parts.routes.nodes.values()];
    const likely = new Set(shadowsOf(sessionId, all));
    // If those did not answer when it was chosen, it is another.
    const others = all.map((node) => node.incarnation).filter((node) => !likely.has(node));
    let best = own;
    for (const nodes of [[...likely], others]) {
      const asked = nodes.map((node) => moves.isAt(node, sought, isPatient));
      const answers = isPatient ? [await firstKept(asked)] : await Promise.all(asked);
      const found = ANSWERS.find((answer) => answers.includes(answer)) ?? best;
      // Who is taking it over may have a copy at a shadow already, which cannot know that.
      if (found === "kept" || (isPatient && found !== "gone")) return found;
      best = found;
    }
    return best;
  }

  /** Another node waits for a word about a session. Never rejects. */
  async decided({ route }: MoveFrame): Promise<MoveAnswer> {
    return { kind: (await this.keeping?.decided(route)) ?? "gone" };
  }

  /** Settles when no node has a copy that is to be passed on yet, or much later. Never rejects. */
  async passedOn({ user, session }: Route): Promise<void> {
    for (let look = 0; look < LOOKS_MAX; look += 1) {
      if ((await this.isKept(user, session)) === "gone") return;
      await pause(this.#parts.clock, PAUSE_MS);
    }
  }

  /**
   * The same of whatever session had that address on a node that is dead to this one, and has no route any more: its
   * shadow may not have passed on yet what it had. Who does not answer has nothing. Undefined: no node has died lately.
   */
  leftAt(route: Route): Promise<void> | undefined {
    return this.#parts.passedOver.hasDead ? this.#leftAt({ ...route, session: "" }) : undefined;
  }

  async #leftAt(sought: Route): Promise<void> {
    const { keeping, moves } = this;
    const { nodes } = this.#parts.routes;
    for (let look = 0; look < LEFT_LOOKS_MAX; look += 1) {
      const own = keeping?.decided(sought) ?? Promise.resolve("gone" as const);
      const asked = [...nodes.keys()].map((node) => moves.isAt(node, sought, true));
      if ((await firstKept([own, ...asked])) === "gone") return;
    }
  }

  nodeUp(node: NodeRecord): void {
    this.#parts.passedOver.nodeBack(node.incarnation);
    this.#lapsed.delete(node.incarnation);
    this.shadows?.nodeUp(node);
  }

  /** It may go on with its sessions, and its copies count; but now it can take nothing over. */
  nodeLapsed(node: NodeRecord): void {
    if (this.keeping !== undefined) this.#parts.passedOver.nodeLapsed(node.incarnation);
    this.#lapsed.add(node.incarnation);
    this.shadows?.nodeLapsed(node);
  }

  nodeDown(node: NodeRecord): void {
    if (this.keeping !== undefined) this.#parts.passedOver.nodeDown(node.incarnation);
    this.#lapsed.delete(node.incarnation);
    this.shadows?.nodeDown(node);
    this.keeping?.nodeDown(node.incarnation);
  }

  /** Others may take this node's sessions for gone, and go on with them. */
  leaseLost(): void {
    if (this.keeping !== undefined) this.#parts.passedOver.leaseLost();
    this.shadows?.leaseLost();
    this.keeping?.leaseLost();
  }

  leaseRegained(): void {
    if (this.keeping !== undefined) this.#parts.passedOver.leaseRegained();
    this.shadows?.leaseRegained();
    this.keeping?.leaseRegained();
  }

  /** Never rejects. @returns who has not heard it */
  async #sayForgotten(nodes: readonly string[]): Promise<readonly string[]> {
    const payload = encodeMirror(FORGOTTEN);
    const tell = (node: string) => this.#parts.asks.tell(node, FrameKind.mirror, payload);
    const heard = await Promise.all(nodes.map(tell));
    return nodes.filter((_node, at) => heard[at] !== true);
  }

  /** See Shadow. */
  async #leave(): Promise<void> {
    const { keeping } = this;
    keeping?.leave();
    const { routes, clock } = this.#parts;
    let untold = await this.#sayForgotten([...routes.nodes.keys()]);
    // Who does not hear it may have left its sessions to us, and we are about to learn that.
    for (let look = 0; look < LOOKS_MAX && untold.length > 0; look += 1) {
      await pause(clock, GONE_MS);
      const mayRely = (node: string) => routes.nodes.has(node) && keeping?.hasCopiesOf(node);
      untold = await this.#sayForgotten(untold.filter(mayRely));
    }
    await keeping?.adopted();
  }

  stats(): Readonly<Record<string, number>> {
    const { copies = 0, adopting = 0 } = this.keeping ?? {};
    return {
      ...this.shadows?.stats,
      copies,
      adopting,
      lapsed: this.#lapsed.size,
      passedOver: this.#parts.passedOver.size,
    };
  }
}

/** Who has nothing says so at once; and who is dead may never say anything. */
const firstKept = (asked: readonly Promise<KeptAnswer>[]): Promise<KeptAnswer> =>
  Promise.any(
    asked.map(async (answer) => ((await answer) === "gone" ? Promise.reject() : answer)),
  ).catch(() => "gone");
