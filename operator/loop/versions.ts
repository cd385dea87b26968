/** Resource versions, compared. They are decimal counters for every kind the API server itself
 * stores (documented as comparable since Kubernetes 1.35, KEP-5504). */

const DECIMAL = /^(0|[1-9][0-9]*)$/;

/** Negative when a is older, 0 when equal, positive when newer; undefined when they can not be
 * compared, as an aggregated API server may answer anything. */
export function compareVersions(a: string, b: string): number | undefined {
  if (a === b) return 0;
  if (!DECIMAL.test(a) || !DECIMAL.test(b)) return undefined;
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : 1;
}
