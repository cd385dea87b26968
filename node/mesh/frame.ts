/**
 * The mesh's frames on the wire, big-endian:
 *
 *     u32 length of what follows | u8 type | u8 code | u32 sequence | payload
 *
 * `code` is the frame kind of a request and the status of an answer. `hello` is the one frame whose
 * form never changes: it is read before the two sides have agreed on a protocol version.
 */

/** Numbers are wire contract. */
export const FrameType = {
  hello: 0,
  request: 1,
  answer: 2,
  ping: 3,
  pong: 4,
  /** "I am leaving: I answer what you sent so far, send no more." */
  goodbye: 5,
} as const;
type FrameType = (typeof FrameType)[keyof typeof FrameType];

/** The status of an answer. */
export const AnswerStatus = { done: 0, failed: 1 } as const;

export interface Frame {
  readonly type: FrameType;
  readonly code: number;
  readonly sequence: number;
  /** A view on the received bytes. */
  readonly payload: Buffer;
}

const LENGTH_BYTES = 4;
/** Type, code and sequence. */
const HEAD_BYTES = 6;
/** What a frame costs beyond its payload. */
export const FRAME_OVERHEAD_BYTES = LENGTH_BYTES + HEAD_BYTES;
const TYPE_MAX = FrameType.goodbye;

/** The peer does not speak this protocol: its link must be closed. */
export class MalformedFrame extends Error {
  override readonly name = "MalformedFrame";
}

/** All of `frames` in one buffer, so that a turn's frames are one write. */
export function encodeFrames(frames: readonly Frame[]): Buffer {
  let size = 0;
  for (const { payload } of frames) size += FRAME_OVERHEAD_BYTES + payload.length;
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const { type, code, sequence, payload } of frames) {
    at = bytes.writeUInt32BE(HEAD_BYTES + payload.length, at);
    at = bytes.writeUInt8(type, at);
    at = bytes.writeUInt8(code, at);
    at = bytes.writeUInt32BE(sequence, at);
    at += payload.copy(bytes, at);
  }
  return bytes;
}

/** Cuts a stream of bytes into frames, wherever the stream was cut into chunks. */
export class FrameDecoder {
  /** Largest frame accepted, without its length field; grows once a peer has shown who it is. */
  frameBytesMax: number;
  readonly #length = Buffer.alloc(LENGTH_BYTES);
  #lengthFilled = 0;
  /** A frame that began in an earlier chunk; made at its full size, so no byte is copied twice. */
  #body: Buffer | undefined;
  #bodyFilled = 0;

  constructor(frameBytesMax: number) {
    this.frameBytesMax = frameBytesMax;
  }

  /** @throws MalformedFrame: the stream cannot be read any further. */
  push(chunk: Buffer, onFrame: (frame: Frame) => void): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#body !== undefined) {
        at = this.#fillBody(this.#body, chunk, at, onFrame);
      } else if (this.#lengthFilled === 0 && chunk.length - at >= LENGTH_BYTES) {
        at = this.#start(chunk.readUInt32BE(at), chunk, at + LENGTH_BYTES, onFrame);
      } else {
        at = this.#fillLength(chunk, at);
      }
    }
  }

  /** Most frames lie wholly in one chunk: those are not copied. */
  #start(length: number, chunk: Buffer, at: number, onFrame: (frame: Frame) => void): number {
    this.#check(length);
    if (chunk.length - at >= length) {
      onFrame(frameOf(chunk.subarray(at, at + length)));
      return at + length;
    }
    this.#body = Buffer.allocUnsafe(length);
    this.#bodyFilled = 0;
    return at;
  }

  #fillLength(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + LENGTH_BYTES - this.#lengthFilled);
    this.#lengthFilled += chunk.copy(this.#length, this.#lengthFilled, at, end);
    if (this.#lengthFilled === LENGTH_BYTES) {
      const length = this.#length.readUInt32BE();
      this.#check(length);
      this.#lengthFilled = 0;
      this.#body = Buffer.allocUnsafe(length);
      this.#bodyFilled = 0;
    }
    return end;
  }

  #fillBody(body: Buffer, chunk: Buffer, at: number, onFrame: (frame: Frame) => void): number {
    const end = Math.min(chunk.length, at + body.length - this.#bodyFilled);
    this.#bodyFilled += chunk.copy(body, this.#bodyFilled, at, end);
    if (this.#bodyFilled === body.length) {
      this.#body = undefined;
      onFrame(frameOf(body));
    }
    return end;
  }

  #check(length: number): void {
    if (length < HEAD_BYTES || length > this.frameBytesMax) {
      throw new MalformedFrame(`Cannot read frame: a length of ${length} bytes`);
    }
  }
}

function frameOf(body: Buffer): Frame {
  const type = body.readUInt8(0);
  if (type > TYPE_MAX) throw new MalformedFrame(`Cannot read frame: unknown type ${type}`);
  return {
    type: type as FrameType,
    code: body.readUInt8(1),
    sequence: body.readUInt32BE(2),
    payload: body.subarray(HEAD_BYTES),
  };
}
