/** What work answers that may be over at once: then nobody waits, and no promise is made. */
export type Done = void | Promise<void>;
