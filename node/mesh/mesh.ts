/** The node's end of the mesh: one listener, and a link to every peer that something is sent to. */
import type { Clock } from "../base/clock.ts";
import { withDeadline } from "../base/deadline.ts";
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { silentLog } from "../base/log.ts";
import type { FrameHandler, FrameKind, Mesh, MeshPeer } from "./contract.ts";
import type { ProtocolRange } from "./hello.ts";
import { PROTOCOL } from "./hello.ts";
import { Link } from "./link.ts";
import type { Listener } from "./listener.ts";
import { openListener } from "./listener.ts";
import type { MeshLimits, MeshSettings, MeshStats, MeshTls } from "./settings.ts";
import { DEFAULT_LIMITS, newStats } from "./settings.ts";
import type { Wires } from "./wires.ts";
import { tlsWires } from "./wires.ts";

export interface MeshOptions {
  /** Where to listen. */
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly self: { readonly incarnation: string };
  readonly tls: MeshTls;
  /** The name that every node's certificate must carry, whichever address it is reached at. */
  readonly serverName: string;
  readonly clock: Clock;
  readonly onFrame: FrameHandler;
  /** Nobody listens at the address of that node. */
  readonly onRefused?: (incarnation: string) => void;
  readonly limits?: Partial<MeshLimits>;
  /** The protocol versions to speak; all this build knows if left out. */
  readonly protocol?: ProtocolRange;
  readonly log?: Logger;
  /** Real ones if left out. */
  readonly wires?: Wires;
}

/** A mesh with its counters. */
export interface CountedMesh extends Mesh {
  readonly stats: Readonly<MeshStats>;
}

const SWEEP_MS = 250;

/** @throws ConfigError when the address cannot be listened on or the certificates do not fit */
export async function openMesh(options: MeshOptions): Promise<CountedMesh> {
  const { host, port, self, tls, serverName, clock, protocol = PROTOCOL } = options;
  const settings: MeshSettings = {
    incarnation: self.incarnation,
    protocol,
    tls,
    serverName,
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    clock,
    log: (options.log ?? silentLog).child({ room: "mesh" }),
    stats: newStats(),
    wires: options.wires ?? tlsWires,
    onRefused: options.onRefused ?? (() => {}),
  };
  return new NodeMesh(await openListener({ host, port }, settings, options.onFrame), settings);
}

class NodeMesh implements CountedMesh {
  readonly #listener: Listener;
  readonly #settings: MeshSettings;
  readonly #links = new Map<string, Link>();
  #isClosed = false;

  constructor(listener: Listener, settings: MeshSettings) {
    this.#listener = listener;
    this.#settings = settings;
    this.#sweepLater();
  }

  get port(): number {
    return this.#listener.port;
  }

  get stats(): Readonly<MeshStats> {
    return this.#settings.stats;
  }

  async request(incarnation: string, kind: FrameKind, payload: Buffer): Promise<Buffer> {
    const link = this.#links.get(incarnation);
    if (link === undefined) {
      const why = this.#isClosed ? "this node is leaving" : "no such node";
      throw new Unavailable("mesh-down", `Cannot reach node ${incarnation}: ${why}`);
    }
    return link.request(kind, payload);
  }

  addPeer(peer: MeshPeer): void {
    if (this.#isClosed || this.#links.has(peer.incarnation)) return;
    this.#links.set(peer.incarnation, new Link(peer, this.#settings));
  }

  removePeer(incarnation: string): void {
    this.#links.get(incarnation)?.close("it has gone");
    this.#links.delete(incarnation);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const links = [...this.#links.values()];
    this.#links.clear();
    const answered = Promise.all([this.#listener.leave(), ...links.map((link) => link.leave())]);
    const { limits, clock } = this.#settings;
    await withDeadline(answered, limits.drainMs, "mesh-timeout", "leave the mesh", clock).catch(
      (error: Error) =>
        this.#settings.log.warn({ reason: error.message }, "left the mesh with frames unanswered"),
    );
    for (const link of links) link.close("this node is leaving");
    this.#listener.close();
  }

  /** One timer for every deadline of every link. */
  #sweepLater(): void {
    const { clock } = this.#settings;
    clock.after(SWEEP_MS, () => {
      // After a stall of this process: first what has arrived meanwhile, then the deadlines.
      setImmediate(() => {
        if (this.#isClosed) return;
        const nowMs = clock.monotonicMs();
        for (const link of this.#links.values()) link.sweep(nowMs);
        this.#listener.sweep(nowMs);
        this.#sweepLater();
      });
    });
  }
}
