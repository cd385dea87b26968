/**
 * Bad input at doors that are no stream of a client (HTTP, components), and what needs another configuration or
 * other frames. What a client says on its stream is told as a dialogue. docs/bad-input.md lists both.
 */
export interface Doors {
  readonly c2s: number;
  readonly web: number;
  readonly components: number;
  /** A component's domain, and its secret. */
  readonly component: { readonly domain: string; readonly secret: string };
  /** An account of `localhost`. */
  readonly user: { readonly name: string; readonly password: string };
}

export interface BadInput {
  /** What it is, for people. */
  readonly name: string;
  /** Word for word what `send` tells of it. */
  readonly answer: string;
  send(doors: Doors): Promise<string>;
}
