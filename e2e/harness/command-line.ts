/** Running commands in a network namespace, and never beyond the life of this process. */

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  /** A name under /run/netns; our own network if left out. */
  readonly netns?: string | undefined;
  /** The user to run as; ourselves if left out. */
  readonly uid?: number | undefined;
}

/**
 * The words to run. On Linux the command dies when its parent dies, however that ends; elsewhere
 * only an orderly end takes it along. Each wrapper replaces itself: the pid is the command's own.
 */
export function commandLine({ command, args, netns, uid }: Command): readonly string[] {
  const user = uid === undefined ? [] : ["--reuid", String(uid), "--clear-groups"];
  const bound = process.platform === "linux" ? ["setpriv", ...user, "--pdeathsig", "KILL"] : [];
  const enter = netns === undefined ? [] : ["nsenter", `--net=/run/netns/${netns}`];
  return [...bound, ...enter, command, ...args];
}
