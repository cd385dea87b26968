/** For programs whose arguments are few or go on to another program: the others have `help` among their options. */

/** Prints `usage` and ends the program where `--help` or `-h` is among its arguments. */
export function answerHelp(usage: string): void {
  if (!process.argv.slice(2).some((word) => word === "--help" || word === "-h")) return;
  process.stdout.write(usage);
  process.exit(0);
}
