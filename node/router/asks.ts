/** Frames to other nodes whose answer says only that they were handled. */
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { FrameKind, Mesh } from "../mesh/contract.ts";
import type { Peers } from "./peers.ts";

const ATTEMPTS_MAX = 3;

export class Asks {
  readonly #mesh: Mesh | undefined;
  readonly #peers: Peers;
  readonly #log: Logger;

  constructor(mesh: Mesh | undefined, peers: Peers, log: Logger) {
    this.#mesh = mesh;
    this.#peers = peers;
    this.#log = log;
  }

  /** @throws Unavailable */
  async once(node: string, kind: FrameKind, payload: Buffer): Promise<void> {
    if (this.#mesh === undefined || !(await this.#peers.ready(node))) {
      throw new Unavailable("mesh-down", "Cannot reach node: it is not there");
    }
    await this.#mesh.request(node, kind, payload);
  }

  /** For frames that do no harm twice: an answer that got lost is asked for again. */
  async firmly(node: string, kind: FrameKind, payload: Buffer): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.once(node, kind, payload);
      } catch (error) {
        if (attempt >= ATTEMPTS_MAX || !(error instanceof Unavailable)) throw error;
      }
    }
  }

  /** Never rejects: true when it was handled, false when it was given up and logged. */
  async tell(node: string, kind: FrameKind, payload: Buffer): Promise<boolean> {
    try {
      await this.firmly(node, kind, payload);
      return true;
    } catch (error) {
      this.#log.warn({ err: error, node, kind }, "cannot tell node");
      return false;
    }
  }
}
