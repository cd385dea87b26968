/** Frame "task": what one node asks another to run, and the answer. */
import { BadFrame, OctetReader, OctetWriter } from "./octets.ts";

/** What JSON can say. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [name: string]: Json };

/** What a task is given, and what it answers. */
export type TaskValue = Json | Buffer;

const IS_BYTES = 1;
const FAILED = 2;

export interface TaskFrame {
  /** "module/task" */
  readonly task: string;
  /** Nobody waits for the answer any longer than this. */
  readonly deadlineMs: number;
  readonly value: TaskValue;
}

/** @throws TypeError for what JSON cannot say */
export function encodeTask({ task, deadlineMs, value }: TaskFrame): Buffer {
  const writer = new OctetWriter().extension().u8(flagsOf(value)).text(task).u16(deadlineMs);
  return writer.rest(bytesOf(value)).done();
}

/** @throws BadFrame */
export function decodeTask(payload: Buffer): TaskFrame {
  const reader = new OctetReader(payload);
  reader.skipExtension();
  const flags = reader.u8();
  const task = reader.text();
  const deadlineMs = reader.u16();
  return { task, deadlineMs, value: valueIn(reader, flags) };
}

export type TaskOutcome =
  | { readonly kind: "answered"; readonly value: TaskValue }
  | { readonly kind: "failed"; readonly code: string };

/** @throws TypeError for what JSON cannot say */
export function encodeTaskOutcome(outcome: TaskOutcome): Buffer {
  if (outcome.kind === "failed") {
    return new OctetWriter().extension().u8(FAILED).text(outcome.code).done();
  }
  const { value } = outcome;
  return new OctetWriter().extension().u8(flagsOf(value)).rest(bytesOf(value)).done();
}

/** @throws BadFrame */
export function decodeTaskOutcome(payload: Buffer): TaskOutcome {
  const reader = new OctetReader(payload);
  reader.skipExtension();
  const flags = reader.u8();
  if ((flags & FAILED) !== 0) return { kind: "failed", code: reader.text() };
  return { kind: "answered", value: valueIn(reader, flags) };
}

const flagsOf = (value: TaskValue): number => (Buffer.isBuffer(value) ? IS_BYTES : 0);

function bytesOf(value: TaskValue): Buffer {
  if (Buffer.isBuffer(value)) return value;
  // What comes from modules of others may be anything.
  const text: string | undefined = JSON.stringify(value);
  if (text === undefined) throw new TypeError("Cannot send value: JSON cannot say it");
  return Buffer.from(text);
}

function valueIn(reader: OctetReader, flags: number): TaskValue {
  const bytes = Buffer.from(reader.rest()); // A copy: it holds no frame in memory.
  if ((flags & IS_BYTES) !== 0) return bytes;
  try {
    return JSON.parse(bytes.toString("utf8")) as Json;
  } catch {
    throw new BadFrame("its value is no JSON");
  }
}
