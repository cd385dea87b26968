/** How many connections one network address may have at a door at once. */
import { addressKey } from "./address.ts";

export class AddressGuard {
  readonly #connectionsMax: number;
  /** Only addresses that are connected: bounded by the connections of the door. */
  readonly #connections = new Map<string, number>();

  /** @param connectionsMax from one address; 0 for no limit */
  constructor(connectionsMax: number) {
    this.#connectionsMax = connectionsMax;
  }

  /** Counts a connection in; false (and not counted) when the address has too many. */
  admit(address: string): boolean {
    if (this.#connectionsMax === 0) return true;
    const key = addressKey(address);
    const count = this.#connections.get(key) ?? 0;
    if (count >= this.#connectionsMax) return false;
    this.#connections.set(key, count + 1);
    return true;
  }

  /** Counts out a connection that was admitted. */
  release(address: string): void {
    if (this.#connectionsMax === 0) return;
    const key = addressKey(address);
    const count = this.#connections.get(key) ?? 0;
    if (count <= 1) this.#connections.delete(key);
    else this.#connections.set(key, count - 1);
  }
}
