/** Bounds that both engines keep. */

/** Routes that one user may have, and that are read of one user. */
export const ROUTES_MAX = 1_000;
