/** Bounds that both engines keep. */

/** Routes that one user may have, and that are read of one user. */
export const ROUTES_MAX = 1_000;

/** How many routes `user` may have: a component, which has no local part, as many as can be read. */
export const routesMaxOf = (user: string, sessionsPerUserMax: number): number =>
  user.includes("@") ? Math.min(sessionsPerUserMax, ROUTES_MAX) : ROUTES_MAX;
