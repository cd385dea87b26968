/** What goes wrong with XML: the peer's fault on the way in, ours on the way out. */
import type { XmlCondition } from "./contract.ts";

/** The peer's XML cannot be accepted: close the stream with `condition` (RFC 6120, 4.9.3). */
export class XmlError extends Error {
  override readonly name = "XmlError";
  readonly code: XmlCondition;
  readonly condition: XmlCondition;

  /** @param why completes "Cannot read XML: …"; never contains the peer's bytes */
  constructor(condition: XmlCondition, why: string) {
    super(`Cannot read XML: ${why}`);
    this.code = condition;
    this.condition = condition;
  }
}

/** An element holds what XML cannot carry. Written nowhere, so no peer's stream is broken by it. */
export class XmlWriteError extends Error {
  override readonly name = "XmlWriteError";
  readonly code = "xml-unwritable";

  /** @param why completes "Cannot write XML: …" */
  constructor(why: string) {
    super(`Cannot write XML: ${why}`);
  }
}
