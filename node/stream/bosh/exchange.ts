/** One HTTP request that waits for its response. */
import type { ServerResponse } from "node:http";

/** A client that takes nothing of its answer for so long is gone. */
const STALLED_MS = 30_000;

export class Exchange {
  readonly #response: ServerResponse;
  /** The client's connection broke before it was answered. */
  isBroken = false;

  /** @param onBroken called once, if the connection breaks first */
  constructor(response: ServerResponse, onBroken: () => void) {
    this.#response = response;
    response.on("close", () => {
      if (response.writableFinished) return;
      this.isBroken = true;
      onBroken();
    });
  }

  /** @param onSent called when the system has taken all of it, which may never happen */
  reply(body: Buffer, onSent: () => void = () => undefined): void {
    if (this.isBroken || this.#response.destroyed) return;
    this.#response.once("finish", onSent);
    this.#response.setTimeout(STALLED_MS, () => this.#response.destroy());
    this.#response.writeHead(200, {
      "content-type": "text/xml; charset=utf-8",
      "content-length": body.length,
      "cache-control": "no-store",
    });
    this.#response.end(body);
  }

  /** Gives up on it: the client has asked again on another connection. */
  drop(): void {
    this.#response.destroy();
  }
}
