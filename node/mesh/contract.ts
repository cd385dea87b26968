/**
 * Node to node: direct TCP with mutual TLS, length-prefixed binary frames, batched per turn of the
 * event loop, acknowledged, bounded. The mesh knows frames, not what they mean.
 */

/** What a frame asks; the router gives the payloads their meaning. Numbers are wire contract. */
export const FrameKind = {
  deliver: 1,
  routes: 2,
  conflict: 3,
  offline: 4,
  move: 5,
  mirror: 6,
  task: 7,
  failedLogins: 8,
  ownRoutes: 9,
  offer: 10,
  decided: 11,
  missed: 12,
  refused: 13,
} as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

export interface MeshPeer {
  readonly incarnation: string;
  readonly meshHost: string;
  readonly meshPort: number;
}

/**
 * The answer to a frame: empty for a plain acknowledgement. Called in the order in which the peer
 * sent; answers may come in any order. `payload` is a view on a larger buffer: copy what is kept.
 */
export type FrameHandler = (
  fromIncarnation: string,
  kind: FrameKind,
  payload: Buffer,
) => Buffer | Promise<Buffer>;

export interface Mesh extends AsyncDisposable {
  /**
   * Sends one frame; frames to one peer arrive in order. Resolves with the peer's answer.
   * @throws Unavailable: "mesh-timeout" (the frame may or may not have been handled), "mesh-down"
   *   (no link could be made or it broke before the answer; the same doubt holds), "mesh-refused"
   *   (nobody listens at its address),
   *   "mesh-overload" (the bound on unanswered bytes to this peer is reached: it was not sent),
   *   "mesh-oversize" (the payload is larger than a frame may be: it was not sent),
   *   "mesh-failed" (the peer's handler threw, or its answer was too large for a frame).
   */
  request(incarnation: string, kind: FrameKind, payload: Buffer): Promise<Buffer>;
  /** Told by the routes engine; links are dialled on first use. */
  addPeer(peer: MeshPeer): void;
  /** Pending requests to it fail at once with "mesh-down". */
  removePeer(incarnation: string): void;
  /** Where this node listens. */
  readonly port: number;
}
