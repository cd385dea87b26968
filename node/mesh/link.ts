/** Our way to one peer: dialled on first use, and again when it broke. Carries requests only. */
import { Unavailable } from "../base/errors.ts";
import { Connection } from "./connection.ts";
import type { FrameKind, MeshPeer } from "./contract.ts";
import type { Frame } from "./frame.ts";
import { AnswerStatus, FRAME_OVERHEAD_BYTES, FrameType, MalformedFrame } from "./frame.ts";
import { commonVersion, decodeHello, encodeHello, versionRefusal } from "./hello.ts";
import { PendingRequests } from "./pending.ts";
import type { MeshSettings } from "./settings.ts";

/** A request that waits for the handshake. */
type Waiting = Pick<Frame, "code" | "sequence" | "payload">;

export class Link {
  readonly #peer: MeshPeer;
  readonly #settings: MeshSettings;
  readonly #pending: PendingRequests;
  #connection: Connection | undefined;
  /** The peer has said hello and is the one we wanted. */
  #isOpen = false;
  /** The peer is leaving, or we are: nothing new goes out. */
  #isLeaving = false;
  readonly #left = Promise.withResolvers<void>();
  #waiting: Waiting[] = [];
  #handshakeDueMs = 0;
  #failures = 0;
  #retryFromMs = 0;
  #lastFailure = "";
  /** What requests fail with while it is down. */
  #code = "mesh-down";

  constructor(peer: MeshPeer, settings: MeshSettings) {
    this.#peer = peer;
    this.#settings = settings;
    this.#pending = new PendingRequests(settings.limits, settings.stats);
  }

  /** See Mesh.request. */
  request(kind: FrameKind, payload: Buffer): Promise<Buffer> {
    const { limits, stats, clock } = this.#settings;
    if (payload.length > limits.frameBytesMax) {
      return this.#refuse("mesh-oversize", `${payload.length} bytes are too many for a frame`);
    }
    if (this.#isLeaving) return this.#refuse("mesh-down", "it is leaving");
    const nowMs = clock.monotonicMs();
    if (this.#connection === undefined && nowMs < this.#retryFromMs) {
      return this.#refuse(this.#code, this.#lastFailure);
    }
    const bytes = payload.length + FRAME_OVERHEAD_BYTES;
    const queuedBytes = this.#connection?.queuedBytes ?? 0;
    if (!this.#pending.hasRoom(bytes) || queuedBytes + bytes > limits.unansweredBytesMax) {
      stats.overloads += 1;
      return this.#refuse("mesh-overload", "too much is unanswered");
    }
    stats.requests += 1;
    const { sequence, answer } = this.#pending.add(bytes, nowMs);
    this.#send({ code: kind, sequence, payload });
    return answer;
  }

  sweep(nowMs: number): void {
    const { requestMs, handshakeMs } = this.#settings.limits;
    this.#pending.expire(nowMs, () => this.#error("mesh-timeout", `no answer in ${requestMs} ms`));
    if (this.#isLeaving) this.#endWhenAnswered();
    if (this.#connection === undefined) return;
    if (this.#isOpen) this.#connection.keepAlive(nowMs);
    else if (nowMs >= this.#handshakeDueMs) {
      this.#connection.close(`no handshake in ${handshakeMs} ms`);
    }
  }

  /** Sends nothing new; closes once everything is answered or failed, and then resolves. */
  leave(): Promise<void> {
    this.#isLeaving = true;
    this.#endWhenAnswered();
    return this.#left.promise;
  }

  /** At once: what is pending fails with "mesh-down". */
  close(reason: string): void {
    this.#isLeaving = true;
    this.#connection?.close(reason);
    this.#pending.failAll(this.#error("mesh-down", reason));
  }

  #error(code: string, why: string): Unavailable {
    return new Unavailable(code, `Cannot reach node ${this.#peer.incarnation}: ${why}`);
  }

  #refuse(code: string, why: string): Promise<never> {
    return Promise.reject(this.#error(code, why));
  }

  #send(request: Waiting): void {
    if (this.#isOpen) {
      this.#connection?.send(FrameType.request, request.code, request.sequence, request.payload);
      return;
    }
    this.#waiting.push(request);
    if (this.#connection === undefined) this.#dial();
  }

  #dial(): void {
    const { clock, limits, stats, protocol, incarnation, wires } = this.#settings;
    stats.dials += 1;
    this.#handshakeDueMs = clock.monotonicMs() + limits.handshakeMs;
    const socket = wires.dial(this.#peer, this.#settings);
    const connection = new Connection(socket, this.#settings, {
      onFrame: (frame) => this.#onFrame(connection, frame),
      onClosed: (reason, isRefused) => this.#onClosed(reason, isRefused),
    });
    this.#connection = connection;
    socket.once("secureConnect", () => {
      connection.send(FrameType.hello, 0, 0, encodeHello({ protocol, incarnation }));
    });
  }

  #onFrame(connection: Connection, frame: Frame): void {
    if (!this.#isOpen) {
      this.#onHello(connection, frame);
      return;
    }
    switch (frame.type) {
      case FrameType.answer:
        this.#onAnswer(frame);
        break;
      case FrameType.goodbye:
        void this.leave();
        break;
      default:
        throw new MalformedFrame(`Cannot take frame: type ${frame.type} on our own link`);
    }
  }

  #onHello(connection: Connection, frame: Frame): void {
    if (frame.type !== FrameType.hello) throw new MalformedFrame("Cannot take frame: no hello yet");
    const { protocol, incarnation } = decodeHello(frame.payload);
    if (incarnation !== this.#peer.incarnation) {
      // Its address was given to another node meanwhile.
      connection.close(`mesh-incarnation, node ${incarnation} answers there`);
      return;
    }
    if (commonVersion(this.#settings.protocol, protocol) === undefined) {
      connection.close(versionRefusal(this.#settings.protocol, protocol));
      return;
    }
    connection.acceptFullFrames();
    this.#isOpen = true;
    this.#failures = 0;
    this.#settings.stats.linksOpen += 1;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const request of waiting) this.#send(request);
    if (this.#isLeaving) this.#endWhenAnswered();
  }

  #onAnswer({ sequence, code, payload }: Frame): void {
    const pending = this.#pending.take(sequence);
    if (code === AnswerStatus.done) pending?.resolve(payload);
    else pending?.reject(this.#error("mesh-failed", `it says ${payload.toString("utf8")}`));
    if (this.#isLeaving) this.#endWhenAnswered();
  }

  #endWhenAnswered(): void {
    if (this.#pending.size > 0) return;
    this.#connection?.end("it has left");
    this.#left.resolve();
  }

  #onClosed(reason: string, isRefused: boolean): void {
    const { stats, clock, limits, log, onRefused } = this.#settings;
    this.#connection = undefined;
    this.#waiting = [];
    if (this.#isOpen) {
      this.#isOpen = false;
      stats.linksOpen -= 1;
      if (this.#pending.size > 0) stats.broken += 1;
    } else {
      stats.dialFailures += 1;
      const backoffMs = limits.backoffMinMs * 2 ** Math.min(this.#failures, 16);
      this.#failures += 1;
      this.#retryFromMs = clock.monotonicMs() + Math.min(backoffMs, limits.backoffMaxMs);
    }
    this.#lastFailure = reason;
    this.#code = isRefused ? "mesh-refused" : "mesh-down";
    if (!this.#isLeaving) {
      log.warn({ peer: this.#peer.incarnation, reason, failures: this.#failures }, "link lost");
    }
    this.#pending.failAll(this.#error(this.#code, reason));
    if (this.#isLeaving) this.#left.resolve();
    else if (isRefused) onRefused(this.#peer.incarnation);
  }
}
