/** What the bench and its load processes say to each other. All of it survives a message channel. */

/** Where and how to connect. */
export interface Target {
  readonly port: number;
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
  /** Ends every session, in order. */
  | { readonly kind: "disconnect" }
  /** Every session of the group has a partner to whom it sends as soon as it has received. */
  | { readonly kind: "chat"; readonly users: Group; readonly partners: readonly number[] }
  | { readonly kind: "chore"; readonly users: Group; readonly chore: Chore }
  /** Ends what "chat" and "chore" have begun. */
  | { readonly kind: "rest" }
  /** Random members of the group write to random members, so many in a second, however it goes. */
  | {
      readonly kind: "pace";
      readonly users: Group;
      readonly perSecond: number;
      readonly seconds: number;
      readonly warmUpSeconds: number;
    }
  /** Short sessions: login, roster, a message to a present user, one to an absent one, logout. */
  | {
      readonly kind: "visits";
      readonly target: Target;
      readonly users: Group;
      readonly present: Group;
      readonly absent: Group;
      readonly inFlight: number;
    }
  | { readonly kind: "counters" };

/** How many of what the server sent has arrived since the process began. */
export interface Counters {
  messages: number;
  presences: number;
  pushes: number;
  answers: number;
}

/** A process's answer. Which fields it has depends on the order. */
export interface Report {
  readonly done: number;
  /** Sentences, the first few. */
  readonly failures: readonly string[];
  readonly counters: Counters;
  /** Milliseconds from writing a message to reading it, sorted. */
  readonly latenciesMs: Float64Array;
  /** The process's own CPU use since it began. */
  readonly cpuMs: number;
}
