/** Links between the nodes of a test: in order per peer, late, lossy on request, cut by death. */
import { Unavailable } from "../../base/errors.ts";
import type { FrameHandler, FrameKind, Mesh } from "../../mesh/contract.ts";
import type { Weather } from "./weather.ts";

export interface MeshEnd {
  readonly isAlive: () => boolean;
  /** Settles when the node dies: whoever waits for its answer then waits in vain. */
  readonly died: Promise<void>;
  readonly onFrame: FrameHandler;
}

export interface Losses {
  /** Chance that a request gets lost, and chance that its answer does. */
  request: number;
  answer: number;
  /** The same stanza between the same nodes is not lost more often than this in a row. */
  readonly inARowMax: number;
}

export class MemoryMesh implements Mesh {
  readonly port = 0;
  readonly #self: string;
  readonly #ends: ReadonlyMap<string, MeshEnd>;
  readonly #weather: Weather;
  readonly #losses: Losses;
  readonly #isLive: () => boolean;
  readonly #links = new Map<string, Promise<void>>();
  readonly #lostInARow = new Map<string, number>();
  frames = 0;

  constructor(
    self: string,
    ends: ReadonlyMap<string, MeshEnd>,
    { weather, losses, isLive }: { weather: Weather; losses: Losses; isLive: () => boolean },
  ) {
    this.#self = self;
    this.#ends = ends;
    this.#weather = weather;
    this.#losses = losses;
    this.#isLive = isLive;
  }

  request(peer: string, kind: FrameKind, payload: Buffer): Promise<Buffer> {
    this.frames += 1;
    return new Promise((resolve, reject) => {
      const before = this.#links.get(peer) ?? Promise.resolve();
      const arrived = before.then(async () => {
        await this.#weather.wait(this.#isLive);
        // The peer handles it now, in order; its answer takes its own time.
        this.#handle(peer, kind, Buffer.from(payload)).then(resolve, reject);
      });
      this.#links.set(peer, arrived);
    });
  }

  async #handle(peer: string, kind: FrameKind, payload: Buffer): Promise<Buffer> {
    const end = this.#ends.get(peer);
    if (end === undefined || !end.isAlive()) return await this.#fail("mesh-down");
    // A frame that is sent again says so at its front; its end is the same.
    const frame = `${peer} ${payload.toString("latin1", Math.max(0, payload.length - 80))}`;
    if (this.#isLost(frame, this.#losses.request)) return await this.#fail("mesh-timeout");
    const answer = await Promise.race([
      end.onFrame(this.#self, kind, payload),
      end.died.then(() => Buffer.alloc(0)),
    ]);
    await this.#weather.wait(this.#isLive);
    // A node that died after it handled the frame never answers.
    if (!end.isAlive() || this.#isLost(frame, this.#losses.answer)) {
      return await this.#fail("mesh-timeout");
    }
    this.#lostInARow.delete(frame);
    return answer;
  }

  #isLost(frame: string, chance: number): boolean {
    const inARow = this.#lostInARow.get(frame) ?? 0;
    if (inARow >= this.#losses.inARowMax || this.#weather.fraction() >= chance) return false;
    this.#lostInARow.set(frame, inARow + 1);
    return true;
  }

  async #fail(code: string): Promise<never> {
    await this.#weather.wait(this.#isLive);
    throw new Unavailable(code, "Cannot reach node: the test says so");
  }

  addPeer(): void {}
  removePeer(): void {}
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
