/** The nodes of the cluster and what each of them has to do. Who does not answer hides no other. */
import type { CommandDone, Host, ModuleRegistration, TaskResult } from "../contract.ts";
import { task } from "../contract.ts";

const TASK = "load";
const DEADLINE_MS = 3_000;

interface Load {
  readonly sessions: number;
  readonly upSeconds: number;
}

export class Nodes {
  readonly #host: Pick<Host, "cluster" | "sessions" | "clock">;
  readonly #startedMs: number;

  constructor(host: Pick<Host, "cluster" | "sessions" | "clock">) {
    this.#host = host;
    this.#startedMs = host.clock.monotonicMs();
  }

  /** What this node tells others. */
  get task(): ModuleRegistration {
    const { sessions, clock } = this.#host;
    return task(TASK, () => ({
      sessions: sessions().size,
      upSeconds: Math.floor((clock.monotonicMs() - this.#startedMs) / 1_000),
    }));
  }

  async list(): Promise<CommandDone> {
    const { cluster } = this.#host;
    const results = await cluster.ask(TASK, null, { deadlineMs: DEADLINE_MS });
    const senior = cluster.senior?.node.incarnation;
    const loads = results.map(loadIn);
    const missing = results.filter((_, at) => loads[at] === undefined).map(({ node }) => node.name);
    const sessions = loads.reduce((sum, load) => sum + (load?.sessions ?? 0), 0);
    return {
      ...(missing.length > 0 && { note: `Without ${missing.join(", ")}: no answer.` }),
      result: [
        {
          name: "nodes",
          type: "text-multi",
          label: "Nodes",
          values: results.map((one) => lineOf(one, one.node.incarnation === senior)),
        },
        { name: "sessions", label: "Sessions on those that answered", values: [String(sessions)] },
        { name: "unanswered", type: "text-multi", label: "Did not answer", values: missing },
      ],
    };
  }
}

/** Undefined also for what another version may say. */
function loadIn(result: TaskResult): Load | undefined {
  if (result.kind !== "answered") return undefined;
  const { sessions, upSeconds } = (result.value ?? {}) as Partial<Load>;
  if (typeof sessions !== "number" || typeof upSeconds !== "number") return undefined;
  return { sessions, upSeconds };
}

function lineOf(result: TaskResult, isSenior: boolean): string {
  const { name, zone, version } = result.node;
  const who = `${name} (zone ${zone}, version ${version}${isSenior ? ", senior" : ""})`;
  const load = loadIn(result);
  if (load !== undefined) return `${who}: ${load.sessions} sessions, up ${load.upSeconds} s`;
  return result.kind === "failed" ? `${who}: ${result.code}` : `${who}: no answer`;
}
