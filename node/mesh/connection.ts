/** One TLS connection between two nodes, either way: frames in, frames out, batched. */
import { writeAtEndOfTurn } from "../base/turn.ts";
import type { Frame } from "./frame.ts";
import { encodeFrames, FRAME_OVERHEAD_BYTES, FrameDecoder, FrameType } from "./frame.ts";
import { HELLO_BYTES_MAX } from "./hello.ts";
import type { MeshSettings } from "./settings.ts";
import type { MeshSocket } from "./wires.ts";

export interface ConnectionEvents {
  /** What it throws closes the connection. */
  onFrame(frame: Frame): void;
  /** Once, whoever closed it. @param isRefused nobody listens at its address */
  onClosed(reason: string, isRefused: boolean): void;
}

const NOTHING = Buffer.alloc(0);

export class Connection {
  readonly #socket: MeshSocket;
  readonly #settings: MeshSettings;
  readonly #events: ConnectionEvents;
  readonly #decoder = new FrameDecoder(HELLO_BYTES_MAX);
  #batch: Frame[] = [];
  #batchBytes = 0;
  #isEnding = false;
  #isClosed = false;
  /** Why we closed it, or the socket's error. */
  #reason = "the peer closed the link";
  /** Monotonic milliseconds. */
  #lastReceivedMs: number;
  #isPinged = false;
  #isRefused = false;

  constructor(socket: MeshSocket, settings: MeshSettings, events: ConnectionEvents) {
    this.#socket = socket;
    this.#settings = settings;
    this.#events = events;
    this.#lastReceivedMs = settings.clock.monotonicMs();
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#reason = error.message;
      this.#isRefused = error.code === "ECONNREFUSED";
    });
    socket.on("end", () => socket.end());
    socket.on("close", () => this.#onClosed());
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Bytes handed over that the network has not taken yet. */
  get queuedBytes(): number {
    return this.#batchBytes + this.#socket.writableLength;
  }

  /** After the handshake frames of full size are accepted. */
  acceptFullFrames(): void {
    this.#decoder.frameBytesMax = this.#settings.limits.frameBytesMax + FRAME_OVERHEAD_BYTES;
  }

  /** Queues a frame; all frames of one turn of the event loop leave in one write. */
  send(type: Frame["type"], code = 0, sequence = 0, payload: Buffer = NOTHING): void {
    if (this.#isClosed || this.#isEnding) return;
    if (this.#batch.length === 0) writeAtEndOfTurn(() => this.flush());
    this.#batch.push({ type, code, sequence, payload });
    this.#batchBytes += payload.length + FRAME_OVERHEAD_BYTES;
  }

  flush(): void {
    if (this.#batch.length === 0 || this.#isClosed) return;
    const bytes = encodeFrames(this.#batch);
    this.#batch = [];
    this.#batchBytes = 0;
    this.#settings.stats.writes += 1;
    this.#settings.stats.bytesSent += bytes.length;
    this.#socket.write(bytes);
  }

  /** Pings an idle peer, closes a dead one. */
  keepAlive(nowMs: number): void {
    if (this.#socket.isPaused()) return; // It is we who do not listen.
    const silentMs = nowMs - this.#lastReceivedMs;
    const { idleMs, deadMs } = this.#settings.limits;
    if (silentMs >= deadMs) {
      this.close(`nothing came from the peer for ${deadMs} ms`);
    } else if (silentMs >= idleMs && !this.#isPinged) {
      this.#isPinged = true;
      this.send(FrameType.ping);
    }
  }

  /** Stops reading while we have more to do for this peer than we may hold. */
  setReading(isReading: boolean): void {
    if (isReading === !this.#socket.isPaused()) return;
    if (isReading) this.#socket.resume();
    else this.#socket.pause();
  }

  onDrained(callback: () => void): void {
    this.#socket.on("drain", callback);
  }

  /** Writes what is queued, then closes. */
  end(reason: string): void {
    if (this.#isClosed || this.#isEnding) return;
    this.flush();
    this.#isEnding = true;
    this.#reason = reason;
    this.#socket.end();
  }

  close(reason: string): void {
    if (this.#isClosed) return;
    this.#reason = reason;
    this.#socket.destroy();
    this.#onClosed(); // Not a turn later: nothing may be sent on it any more.
  }

  #onData(chunk: Buffer): void {
    if (this.#isClosed) return;
    const { stats, clock } = this.#settings;
    stats.bytesReceived += chunk.length;
    this.#lastReceivedMs = clock.monotonicMs();
    this.#isPinged = false;
    try {
      this.#decoder.push(chunk, (frame) => this.#onFrame(frame));
    } catch (error) {
      stats.malformed += 1;
      this.close(error instanceof Error ? error.message : String(error));
    }
  }

  #onFrame(frame: Frame): void {
    if (this.#isClosed) return; // An earlier frame of the same chunk closed it.
    if (frame.type === FrameType.ping) this.send(FrameType.pong);
    else if (frame.type !== FrameType.pong) this.#events.onFrame(frame);
  }

  #onClosed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#batch = [];
    this.#batchBytes = 0;
    this.#events.onClosed(this.#reason, this.#isRefused);
  }
}
