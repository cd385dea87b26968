/** Reading and writing the little binary records that nodes exchange. Big-endian throughout. */
import { Unavailable } from "../base/errors.ts";

/** A peer sent something that is no valid payload: it is answered nothing and changes nothing. */
export class BadFrame extends Unavailable {
  constructor(why: string) {
    super("mesh-bad-frame", `Cannot read frame: ${why}`);
  }
}

export class OctetWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(sizeHint = 256) {
    this.#buffer = Buffer.allocUnsafe(sizeHint);
  }

  /** Begins a record: room for what a newer version may add, which this one leaves empty. */
  extension(): this {
    return this.u16(0);
  }

  u8(value: number): this {
    this.#reserve(1);
    this.#length = this.#buffer.writeUInt8(value, this.#length);
    return this;
  }

  i8(value: number): this {
    this.#reserve(1);
    this.#length = this.#buffer.writeInt8(value, this.#length);
    return this;
  }

  u16(value: number): this {
    this.#reserve(2);
    this.#length = this.#buffer.writeUInt16BE(value, this.#length);
    return this;
  }

  /** A revision or a count: up to 2^48 - 1. */
  u48(value: number): this {
    this.#reserve(6);
    this.#length = this.#buffer.writeUIntBE(value, this.#length, 6);
    return this;
  }

  /** Text of at most 65,535 bytes. */
  text(value: string): this {
    const bytes = Buffer.byteLength(value);
    this.u16(bytes);
    this.#reserve(bytes);
    this.#length += this.#buffer.write(value, this.#length, "utf8");
    return this;
  }

  /** Bytes with their length. */
  block(bytes: Buffer): this {
    return this.u48(bytes.length).rest(bytes);
  }

  /** All that remains of the payload. */
  rest(bytes: Buffer): this {
    this.#reserve(bytes.length);
    this.#length += bytes.copy(this.#buffer, this.#length);
    return this;
  }

  done(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + bytes));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

/** @throws BadFrame from every method when the payload is shorter than it claims. */
export class OctetReader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  u8(): number {
    return this.#buffer[this.#take(1)] as number;
  }

  i8(): number {
    return this.#buffer.readInt8(this.#take(1));
  }

  u16(): number {
    return this.#buffer.readUInt16BE(this.#take(2));
  }

  u48(): number {
    return this.#buffer.readUIntBE(this.#take(6), 6);
  }

  text(): string {
    const bytes = this.u16();
    const start = this.#take(bytes);
    return this.#buffer.toString("utf8", start, start + bytes);
  }

  /** Bytes that came with their length, in the memory of all that is read. */
  part(): Buffer {
    const length = this.u48();
    const start = this.#take(length);
    return this.#buffer.subarray(start, start + length);
  }

  /** A copy of them: it holds no frame in memory. */
  block(): Buffer {
    return Buffer.from(this.part());
  }

  /** A number of records that follow, each of at least `bytesEach`. */
  count(max: number, bytesEach: number): number {
    const count = this.u16();
    if (count > max) throw new BadFrame(`${count} records where at most ${max} are allowed`);
    if (count * bytesEach > this.#buffer.length - this.#at) throw new BadFrame("it is cut short");
    return count;
  }

  /** Skips what a newer version may have added: a length and so many bytes. */
  skipExtension(): void {
    this.#take(this.u16());
  }

  rest(): Buffer {
    const rest = this.#buffer.subarray(this.#at);
    this.#at = this.#buffer.length;
    return rest;
  }

  #take(bytes: number): number {
    const start = this.#at;
    if (start + bytes > this.#buffer.length) throw new BadFrame("it is cut short");
    this.#at = start + bytes;
    return start;
  }
}
