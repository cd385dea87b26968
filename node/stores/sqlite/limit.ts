/**
 * A limit that is bound. For a bare `LIMIT ?` SQLite plans by its value, so each value that is bound
 * has the whole statement prepared again, which costs six times what the reading does.
 */
export const LIMIT = "LIMIT (? | 0)";
