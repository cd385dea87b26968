/**
 * XMPP clients that nobody here wrote, each in a process of its own, driven by JSON lines: commands
 * on standard input, events on standard output. They accept subscriptions and ask back, reconnect
 * by themselves, and after a stream that cannot be resumed send again what was not acknowledged.
 */
export interface ClientConfig {
  /** Bare address "local@domain". */
  readonly address: string;
  /** What it binds; left to the server if left out. Only slixmpp is asked. */
  readonly resource?: string;
  readonly password: string;
  /** Tried in turn at each connection. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  /** PEM file of the authority that signed the server's certificate. */
  readonly authority: string;
  /** The newest TLS it may speak; what it can if left out. Only slixmpp is asked. */
  readonly tlsMax?: "1.2";
}

export interface MessageCommand {
  readonly do: "message";
  readonly to: string;
  readonly id: string;
  readonly body: string;
}

export type Command =
  | MessageCommand
  | { readonly do: "subscribe"; readonly to: string }
  | { readonly do: "presence"; readonly type?: string }
  | { readonly do: "ack" }
  /** As when its network goes: the connection is over at once, and it comes back by itself. */
  | { readonly do: "drop" }
  | { readonly do: "ping"; readonly to?: string }
  | { readonly do: "close" };

export type ClientEvent =
  /** How it has logged in, at each login. */
  | { readonly event: "authenticated"; readonly mechanism: string }
  | { readonly event: "online"; readonly address: string }
  | { readonly event: "offline" | "error" | "connection-failed"; readonly reason: string }
  | { readonly event: "refused" | "resumed" }
  | { readonly event: "stream-error"; readonly condition: string }
  | {
      readonly event: "message";
      readonly sender: string;
      readonly id: string;
      readonly body: string;
      readonly delayed: boolean;
    }
  | { readonly event: "bounced"; readonly id: string; readonly condition: string }
  | { readonly event: "acked" | "resent"; readonly id: string }
  | { readonly event: "presence"; readonly sender: string; readonly type: string }
  | { readonly event: "roster"; readonly items: Readonly<Record<string, string>> }
  | { readonly event: "pong"; readonly seconds: number };
