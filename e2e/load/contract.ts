/** What the bench and its load processes say to each other. All of it survives a message channel. */

/** Where and how to connect. */
export interface Target {
  /** Of each node; a user's number says which is his, in turn. */
  readonly ports: readonly number[];
  readonly tls: boolean;
}

/** Accounts "<group><from>" to "<group><to - 1>"; each process takes its own share of them. */
export interface Group {
  readonly group: string;
  readonly from: number;
  readonly to: number;
}

/** What sessions repeat, one after another, as soon as the server has answered. */
export type Chore =
  /** Changes its presence. */
  | "presence"
  /** Gives a contact another name. */
  | "roster"
  /** Reads the last page, 50 messages, of its archive. */
  | "history";

export type Order =
  /** Logs the group in and keeps it: roster, presence, and with `acks` XEP-0198. */
  | {
      readonly kind: "connect";
      readonly target: Target;
      readonly users: Group;
      readonly inFlight: number;
      readonly acks: boolean;
      /** By XEP-0388, asking for a token of XEP-0484. */
      readonly wantsToken?: boolean;
    }
  /** Logs everybody in again who was given a token, with that token. */
  | {
      readonly kind: "return";
      readonly target: Target;
      readonly users: Group;
      readonly inFlight: number;
    }
  /** Breaks every connection of the group, then resumes each stream. */
  | {
      readonly kind: "resume";
      readonly target: Target;
      readonly users: Group;
      readonly inFlight: number;
    }
  /**
   * The node at that port is about to die: who was connected to it comes back through the target as
   * soon as the connection breaks, resuming the stream, or else binding anew.
   */
  | {
      readonly kind: "recover";
      readonly target: Target;
      readonly lostPort: number;
      readonly seconds: number;
    }
  /** Ends every session, in order. */
  | { readonly kind: "disconnect" }
  /** Every session of the group has a partner to whom it sends as soon as it has received. */
  | { readonly kind: "chat"; readonly users: Group; readonly partners: readonly number[] }
  | { readonly kind: "chore"; readonly users: Group; readonly chore: Chore }
  /** Ends what "chat" and "chore" have begun. */
  | { readonly kind: "rest" }
  /**
   * Random members of the group write to random members, or to a partner, or change their presence,
   * so many in a second, however it goes.
   */
  | {
      readonly kind: "pace";
      readonly users: Group;
      /** "partner": the member whose number differs in just that bit. */
      readonly what?: "presence" | { readonly partner: number };
      /** One process does it, among its own members, and leaves a processor to the server. */
      readonly isAlone?: boolean;
      readonly perSecond: number;
      readonly seconds: number;
      readonly warmUpSeconds: number;
    }
  /** Members write to members, so many in a second, until "rest"; "counters" tells how it goes. */
  | { readonly kind: "pour"; readonly users: Group; readonly perSecond: number }
  /** Members of the group log in and out, so many in a second, however long each takes, until "rest". */
  | {
      readonly kind: "arrive";
      readonly target: Target;
      readonly users: Group;
      readonly perSecond: number;
    }
  /** Short sessions: login, roster, a message to a present user, one to an absent one, logout. */
  | {
      readonly kind: "visits";
      readonly target: Target;
      readonly users: Group;
      readonly present: Group;
      readonly absent: Group;
      readonly inFlight: number;
      /** So many begin in a second, however it goes; as fast as they end if left out. */
      readonly perSecond?: number;
    }
  | { readonly kind: "counters" };

/** How many of what the server sent has arrived since the process began. */
export interface Counters {
  /** Messages of "pour" that were written. */
  sent: number;
  /** Logins of "arrive" that came online, and those that did not. */
  online: number;
  failed: number;
  messages: number;
  presences: number;
  pushes: number;
  answers: number;
  /** Streams that went on after a break; not from the server but about it. */
  resumed: number;
}

/** A process's answer. Which fields it has depends on the order. */
export interface Report {
  readonly done: number;
  /** Sentences, the first few. */
  readonly failures: readonly string[];
  readonly counters: Counters;
  /**
   * Milliseconds, sorted. Of "pace": from writing a message or presence to reading it. Of what logs
   * in: from dialling to being online; of "recover": from the break to being online.
   * Of "counters" during "pour": of messages, since they were told last.
   */
  readonly latenciesMs: Float64Array;
  /** Of "pace": the 99th percentile of what arrived in each quarter of a second, of each process. */
  readonly quartersMs: readonly number[];
  /** The process's own CPU use since it began. */
  readonly cpuMs: number;
}
