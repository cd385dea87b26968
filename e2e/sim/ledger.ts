/** What was said, who was told that it arrived, and where it did. */
export interface Copy {
  /** The device and its session there. */
  readonly device: string;
  readonly session: string;
  /** The node it came from. */
  readonly node: string;
  readonly atMs: number;
  /** The node that holds the session has read that the client has it. */
  isAcknowledged: boolean;
}

export interface Said {
  readonly id: string;
  readonly fromUser: string;
  readonly toUser: string;
  /** That user, or one device of theirs. */
  readonly to: string;
  /** The sending sessions: more than one if the client could not know what became of the first. */
  readonly sessions: string[];
  /** Its place among what that session said. */
  readonly place: number;
  /** The nodes that it came in at, or was sent to. */
  readonly entries: Set<string>;
  /** The server told its sender that it has it. */
  isAccepted: boolean;
  /** It came back to its sender with an error. */
  isReturned: boolean;
  /** Its sender went on elsewhere, and sent it once more. */
  isResent: boolean;
  /** What may have been lost or repeated without breach of what is promised now: why. */
  doubt: string | undefined;
  readonly copies: Copy[];
  /** Sessions of its recipient's that it is for; those that go on have it in the end. */
  readonly awaited: readonly Session[];
  /** One of them may miss it without breach of what is promised now. */
  mayBeMissed: boolean;
  /** So may the archives: a node has died that was to write it there late. */
  mayBeUnarchived: boolean;
}

/** A session of a device. */
export interface Session {
  readonly device: string;
  readonly session: string;
}

export class Ledger {
  readonly said = new Map<string, Said>();

  say(
    fromUser: string,
    toUser: string,
    { session, ...more }: Pick<Said, "to" | "place" | "awaited"> & Pick<Session, "session">,
  ): Said {
    const id = `m${this.said.size + 1}`;
    const said: Said = {
      id,
      fromUser,
      toUser,
      sessions: [session],
      ...more,
      entries: new Set(),
      isAccepted: false,
      isReturned: false,
      isResent: false,
      doubt: undefined,
      copies: [],
      mayBeMissed: false,
      mayBeUnarchived: false,
    };
    this.said.set(id, said);
    return said;
  }

  /** What is for that device alone, and did not reach it, may have been written to a session that nobody resumes. */
  mayLose(full: string): void {
    for (const said of this.said.values()) {
      if (said.to === full && said.copies.length === 0) said.doubt ??= "its connection was lost";
    }
  }

  /** Every session that it is for has it, as far as it was there. */
  static isSpread({ copies, awaited }: Said): boolean {
    return awaited.every(({ session }) => copies.some((copy) => copy.session === session));
  }

  /** It has one owner who survives: a client that acknowledged it. */
  static isDone({ copies }: Said): boolean {
    return copies.some(({ isAcknowledged }) => isAcknowledged);
  }
}
