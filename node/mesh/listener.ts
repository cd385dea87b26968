/** Where peers reach us: proves who they are, hands their frames to the handler in order, answers. */
import { Connection } from "./connection.ts";
import type { FrameHandler, FrameKind } from "./contract.ts";
import type { Frame } from "./frame.ts";
import { AnswerStatus, FrameType, MalformedFrame } from "./frame.ts";
import { commonVersion, decodeHello, encodeHello, versionRefusal } from "./hello.ts";
import type { MeshSettings } from "./settings.ts";
import type { MeshSocket } from "./wires.ts";

export interface Listener {
  readonly port: number;
  sweep(nowMs: number): void;
  /** Takes no new peers, asks those there are to send no more; resolves when all have gone. */
  leave(): Promise<void>;
  /** At once. */
  close(): void;
}

/** One peer's link to us. */
class Accepted {
  readonly #connection: Connection;
  readonly #settings: MeshSettings;
  readonly #onFrame: FrameHandler;
  readonly #onHello: (accepted: Accepted, incarnation: string) => void;
  readonly #helloDueMs: number;
  /** Of the peer, once it has said hello. */
  incarnation: string | undefined;
  #unanswered = 0;
  #unansweredBytes = 0;

  constructor(
    socket: MeshSocket,
    settings: MeshSettings,
    onFrame: FrameHandler,
    events: { onHello(accepted: Accepted, incarnation: string): void; onClosed(a: Accepted): void },
  ) {
    this.#settings = settings;
    this.#onFrame = onFrame;
    this.#onHello = events.onHello;
    this.#helloDueMs = settings.clock.monotonicMs() + settings.limits.handshakeMs;
    const address = socket.remoteAddress;
    settings.stats.acceptedOpen += 1;
    this.#connection = new Connection(socket, settings, {
      onFrame: (frame) => this.#take(frame),
      onClosed: (reason) => {
        settings.stats.acceptedOpen -= 1;
        settings.log.info({ peer: this.incarnation, address, reason }, "peer gone");
        events.onClosed(this);
      },
    });
    this.#connection.onDrained(() => this.#pace());
  }

  sweep(nowMs: number): void {
    if (this.incarnation !== undefined) this.#connection.keepAlive(nowMs);
    else if (nowMs >= this.#helloDueMs) this.close("the peer did not say hello");
  }

  /** Asks the peer to send no more; it closes when it has all its answers. */
  leave(): void {
    if (this.incarnation === undefined) this.close("we are leaving");
    else this.#connection.send(FrameType.goodbye);
  }

  close(reason: string): void {
    this.#connection.flush(); // The peer gets what the network takes at once.
    this.#connection.close(reason);
  }

  #take(frame: Frame): void {
    if (this.incarnation === undefined) {
      this.#takeHello(frame);
      return;
    }
    if (frame.type !== FrameType.request) {
      throw new MalformedFrame(`Cannot take frame: type ${frame.type} from a dialling peer`);
    }
    void this.#handle(frame, this.incarnation);
  }

  #takeHello(frame: Frame): void {
    if (frame.type !== FrameType.hello) throw new MalformedFrame("Cannot take frame: no hello yet");
    const theirs = decodeHello(frame.payload);
    const { protocol, incarnation, stats, log } = this.#settings;
    // Also to a peer that we refuse: it logs the same reason.
    this.#connection.send(FrameType.hello, 0, 0, encodeHello({ protocol, incarnation }));
    if (commonVersion(protocol, theirs.protocol) === undefined) {
      const reason = versionRefusal(protocol, theirs.protocol);
      stats.refused += 1;
      log.warn({ peer: theirs.incarnation, reason }, "peer refused");
      this.#connection.end(reason);
      return;
    }
    this.#connection.acceptFullFrames();
    this.incarnation = theirs.incarnation;
    this.#onHello(this, theirs.incarnation);
  }

  /** The handler is called in the order of arrival; it may answer when it likes. */
  async #handle({ code, sequence, payload }: Frame, peer: string): Promise<void> {
    this.#unanswered += 1;
    this.#unansweredBytes += payload.length;
    this.#pace();
    const { stats, limits, log } = this.#settings;
    let status: number = AnswerStatus.done;
    let answer: Buffer;
    try {
      answer = await this.#onFrame(peer, code as FrameKind, payload);
      if (answer.length > limits.frameBytesMax) {
        throw new RangeError(`Cannot answer frame: ${answer.length} bytes are too many`);
      }
    } catch (error) {
      stats.handlerFailures += 1;
      const reason = nameOf(error);
      log.warn({ peer, kind: code, reason }, "frame not handled");
      status = AnswerStatus.failed;
      answer = Buffer.from(reason, "utf8");
    }
    stats.handled += 1;
    this.#unanswered -= 1;
    this.#unansweredBytes -= payload.length;
    this.#connection.send(FrameType.answer, status, sequence, answer);
    this.#pace();
  }

  /** A peer that ignores its own bounds, or does not take its answers, is not read from. */
  #pace(): void {
    const { unansweredMax, unansweredBytesMax } = this.#settings.limits;
    const isFull =
      this.#unanswered > unansweredMax ||
      this.#unansweredBytes > unansweredBytesMax ||
      this.#connection.queuedBytes > unansweredBytesMax;
    if (!this.#connection.isClosed) this.#connection.setReading(!isFull);
  }
}

/** The stable code of our errors, the class of others: never their text, it may quote a stanza. */
const nameOf = (error: unknown): string => {
  if (!(error instanceof Error)) return "error";
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
};

/** @throws ConfigError when the address cannot be listened on or the certificates do not fit */
export async function openListener(
  { host, port }: { readonly host: string; readonly port: number },
  settings: MeshSettings,
  onFrame: FrameHandler,
): Promise<Listener> {
  const { stats, log, wires } = settings;
  const accepted = new Set<Accepted>();
  const byIncarnation = new Map<string, Accepted>();
  const gone = Promise.withResolvers<void>();
  let isLeaving = false;
  const events = {
    onHello(link: Accepted, incarnation: string) {
      // A peer dials again only when its link broke: frames left on the old one come too late.
      byIncarnation.get(incarnation)?.close("the peer dialled again");
      byIncarnation.set(incarnation, link);
    },
    onClosed(link: Accepted) {
      accepted.delete(link);
      const { incarnation = "" } = link;
      if (byIncarnation.get(incarnation) === link) byIncarnation.delete(incarnation);
      if (isLeaving && accepted.size === 0) gone.resolve();
    },
  };
  const server = await wires.listen({ host, port }, settings, {
    onPeer(socket) {
      if (!isLeaving) {
        accepted.add(new Accepted(socket, settings, onFrame, events));
        return;
      }
      socket.on("error", () => undefined); // It may answer with a reset; we have parted anyway.
      socket.destroy();
    },
    onStranger(address, reason) {
      stats.refused += 1;
      log.warn({ address, reason }, "peer refused");
    },
    onError: (error) => log.error({ reason: error.message }, "mesh listener failed"),
  });
  return {
    port: server.port,
    sweep(nowMs) {
      for (const link of accepted) link.sweep(nowMs);
    },
    leave() {
      isLeaving = true;
      server.close();
      for (const link of [...accepted]) link.leave();
      if (accepted.size === 0) gone.resolve();
      return gone.promise;
    },
    close() {
      for (const link of [...accepted]) link.close("we are leaving");
    },
  };
}
