/** Running commands in a network namespace, and never beyond the life of this process. */

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  /** A name under /run/netns; our own network if left out. */
  readonly netns?: string | undefined;
}

/**
 * The words to run. On Linux the command dies when its parent dies, however that ends; elsewhere
 * only an orderly end takes it along. Each wrapper replaces itself: the pid is the command's own.
 */
export function commandLine({ command, args, netns }: Command): readonly string[] {
  const bound = process.platform === "linux" ? ["setpriv", "--pdeathsig", "KILL"] : [];
  const enter = netns === undefined ? [] : ["nsenter", `--net=/run/netns/${netns}`];
  return [...bound, ...enter, command, ...args];
}
