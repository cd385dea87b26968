/** `zonda serve`: one node, until SIGTERM or Ctrl-C. */
import { systemClock } from "../base/clock.ts";
import { ConfigError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { readConfiguration } from "../configuration.ts";
import type { RunningNode } from "../main.ts";
import { startNode } from "../main.ts";
import { openLog } from "../observe/log.ts";
import { software } from "../software.ts";
import { watchFile } from "../watch-file.ts";
import type { Invocation } from "./invocation.ts";

/** The longest that a timer may run. */
const HOLD_MS = 2 ** 31 - 1;

export async function serve(invocation: Invocation): Promise<void> {
  const configuration = await readConfiguration(invocation);
  const log = openLog(configuration.log);
  process.on("uncaughtException", (error) => {
    // A bug: what is accepted is in the stores or with other nodes; a fresh process is safer.
    log.error({ room: "main", error: { message: error.message, stack: error.stack } }, "crashed");
    process.exit(1);
  });
  // No timer of ours holds the process, and while its stores are waited for nothing else does.
  setInterval(() => undefined, HOLD_MS);
  const node = await startNode(configuration, log);
  if (invocation.file === undefined) welcome(node, configuration.data);
  takeChanges(invocation, node, log);
  const signal = await endSignal();
  log.info({ room: "main", signal }, "draining");
  await node.drain();
  process.exit(0);
}

/** SIGHUP, and a file that has changed, make the node read its configuration again. */
function takeChanges(invocation: Invocation, node: RunningNode, log: Logger): void {
  const reload = async (): Promise<void> => {
    try {
      await node.reload(await readConfiguration(invocation));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const event = "cannot take over the configuration: what is in use stays";
      log.error({ room: "reload", reason: error.message }, event);
    }
  };
  process.on("SIGHUP", () => void reload());
  const { file } = invocation;
  if (file !== undefined) watchFile({ file, clock: systemClock, onChange: () => void reload() });
}

/** The first signal drains; a second one of Ctrl-C ends at once. */
function endSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.once(signal, () => {
        process.once("SIGINT", () => process.exit(130));
        resolve(signal);
      });
    }
  });
}

function welcome({ domains, ports, selfMadeAuthority }: RunningNode, data: string): void {
  const domain = domains[0] as string;
  const trust =
    selfMadeAuthority === undefined
      ? ""
      : `; its certificate is self-made, trust ${selfMadeAuthority}`;
  console.log(`Zonda ${software.version} serves ${domains.join(", ")}
  clients connect to ${domain}:${ports.c2s} (STARTTLS)${trust}
  make a user:  npx zonda user add juliet@${domain}
  then log in as juliet@${domain} with any XMPP client
  health: http://127.0.0.1:${ports.http}/readyz   stop: Ctrl-C   everything is kept in ${data}/`);
}
