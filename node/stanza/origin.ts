/** What makes one stanza the same stanza, however often it is sent again. */
export interface Origin {
  /** Id of the session that sent it, or of the node that made it. */
  readonly session: string;
  /** Its place among the stanzas of that session, from 1, also when it is sent again. */
  readonly count: number;
  /**
   * Its session was on a node that died: the stanza may have been accepted there, and be one that its
   * client sends again. Not told to other nodes.
   */
  readonly isAgain?: true;
  /**
   * Of a client's: the lease (Routes.tenure) under which its node took it. Once that is lost its client may have
   * sent it again elsewhere. Not told to other nodes.
   */
  readonly tenure?: string;
}

export const isSameOrigin = (one: Origin | undefined, { session, count }: Origin): boolean =>
  one?.session === session && one.count === count;
