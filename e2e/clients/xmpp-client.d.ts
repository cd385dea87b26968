/** The part of @xmpp/client that our driver uses; the package ships no types. */
declare module "@xmpp/client" {
  export interface Element {
    readonly name: string;
    readonly attrs: Readonly<
      Record<"from" | "to" | "id" | "jid" | "subscription" | "mechanism", string>
    > & {
      readonly type?: string;
    };
    readonly children: readonly (Element | string)[];
    is(name: string, xmlns?: string): boolean;
    getChild(name: string, xmlns?: string): Element | undefined;
    getChildren(name: string): readonly Element[];
    getChildText(name: string): string | null;
  }
  export function xml(
    name: string,
    attributes?: object,
    ...children: readonly (Element | string)[]
  ): Element;
  interface Emitter {
    // biome-ignore lint/suspicious/noExplicitAny: listeners differ by event, as in Node's own types
    on(event: string, listener: (...args: any[]) => void): void;
  }
  interface Entity extends Emitter {
    status: string;
    /** Once it is secure, around that of Node. */
    readonly socket: { readonly socket: { destroy(): void } } | null;
    readonly options: { service: string };
    readonly reconnect: { delay: number; stop(): void };
    readonly streamManagement: Emitter & {
      readonly enabled: boolean;
      /** Of the session that can be resumed; "" for none. */
      readonly id: string;
      outbound: number;
      readonly outbound_q: { readonly stanza: Element }[];
    };
    start(): Promise<unknown>;
    stop(): Promise<unknown>;
    send(stanza: Element): Promise<void>;
  }
  export function client(options: {
    service: string;
    domain: string;
    username: string;
    password: string;
  }): Entity;
}
