/** metav1.MicroTime: the API server refuses times of a Lease or an Event without six digits. */
export function microTime(timeMs: number): string {
  return new Date(timeMs).toISOString().replace("Z", "000Z");
}
