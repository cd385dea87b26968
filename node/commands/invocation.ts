/** What every command is given. */
export interface Invocation {
  /** --config */
  readonly file: string | undefined;
  /** --set, each "dotted.path=value" */
  readonly sets: readonly string[];
  /** --yes */
  readonly isConfirmed: boolean;
  /** What stands after the command's words. */
  readonly operands: readonly string[];
}
