/**
 * The night watch: tells somebody when a node of the cluster has gone, once for the whole cluster, and
 * from time to time, or when an administrator asks, how many sessions each node has.
 */
import type { ClusterNode, ExternalModule, Host, ModuleKit, TaskResult } from "zonda/module";

const COUNT = "count";
const COUNT_MS = 2_000;
/** A node that hears only later than this that another has gone reports it again. */
const REPORTED_MS = 60_000;

interface Settings {
  /** Undefined: reports are logged alone. */
  readonly reportTo: string | undefined;
  /** 0 for never. */
  readonly everyMinutes: number;
}

interface Counts {
  heard: number;
  reported: number;
}

class NightWatch {
  readonly #host: Host;
  readonly #kit: ModuleKit;
  readonly #settings: Settings;
  readonly #counts: Counts;
  #round: { cancel(): void } | undefined;

  constructor(host: Host, counts: Counts, kit: ModuleKit, settings: Settings) {
    this.#host = host;
    this.#counts = counts;
    this.#kit = kit;
    this.#settings = settings;
  }

  /** Every node that is left hears of it; the one that gets the claim reports it. */
  async gone(node: ClusterNode): Promise<void> {
    const { cluster, clock } = this.#host;
    const claim = await cluster.claim(`gone/${node.incarnation}`);
    this.#counts.heard += 1;
    if (claim === undefined) return;
    clock.after(REPORTED_MS, () => void claim[Symbol.asyncDispose]());
    const lines = await this.lines();
    // Counting took its time: whoever has the claim by now reports it, with a greater token.
    if (claim.isHeld) this.#report(`gone-${claim.token}`, [`${node.name} has gone`, ...lines]);
  }

  /** The senior does the rounds. It is told whenever that is another, or nobody for the moment. */
  seniorChanged(): void {
    this.#round?.cancel();
    const { cluster, clock } = this.#host;
    const { everyMinutes } = this.#settings;
    if (cluster.senior?.isSelf !== true || everyMinutes === 0) return;
    this.#round = clock.after(everyMinutes * 60_000, () => {
      this.#makeRound().catch((error: unknown) => {
        this.#host.log.warn({ err: error }, "cannot make a round");
      });
      this.seniorChanged();
    });
  }

  stop(): void {
    this.#round?.cancel();
  }

  /** What this node tells the one that counts. */
  count(): { sessions: number } {
    return { sessions: this.#host.sessions().size };
  }

  /** One for each node. A node that says nothing is a line as well. */
  async lines(): Promise<readonly string[]> {
    const results = await this.#host.cluster.ask(COUNT, null, { deadlineMs: COUNT_MS });
    return results.map((result) => `${result.node.name}: ${said(result)}`);
  }

  async #makeRound(): Promise<void> {
    const lines = await this.lines();
    const { senior } = this.#host.cluster;
    if (senior?.isSelf !== true) return;
    const minute = Math.floor(this.#host.clock.nowMs() / 60_000);
    this.#report(`round-${senior.token}-${minute}`, lines);
  }

  #report(id: string, lines: readonly string[]): void {
    const { router, domains, log } = this.#host;
    const { reportTo: to } = this.#settings;
    this.#counts.reported += 1;
    log.info({ id, lines }, "night watch reports");
    if (to === undefined) return;
    const { el, fromElement } = this.#kit;
    const attributes = { xmlns: "jabber:client", id, from: domains[0], to };
    const message = el("message", attributes, el("body", {}, lines.join("\n")));
    void router.route(fromElement(message, router.nowMs()));
  }
}

/** The node may run another version of this module: what it says is looked at before it is used. */
function said(result: TaskResult): string {
  if (result.kind === "silent") return "no answer";
  if (result.kind === "failed") return `cannot say (${result.code})`;
  const { sessions } = (result.value ?? {}) as { readonly sessions?: unknown };
  return typeof sessions === "number" ? `${sessions} sessions` : "cannot be understood";
}

export default {
  api: 1,
  module: (kit) => {
    const { defineModule, on, task, command, counter, options, Jid, ConfigError } = kit;
    /** @throws ConfigError: the node does not start */
    const addressIn = (text: string | undefined) => {
      try {
        return text === undefined ? undefined : Jid.parse(text).full;
      } catch (cause) {
        throw new ConfigError(`Cannot use modules.nightWatch.reportTo: ${text} is no address`, {
          cause,
        });
      }
    };
    return defineModule({
      name: "nightWatch",
      about: "Tells somebody when a node has gone, and how many sessions each node has.",
      options: {
        reportTo: options.optionalText({ about: "Address that reports are sent to." }),
        everyMinutes: options.integer({
          about: "How often sessions are reported; 0 for never.",
          default: 0,
          min: 0,
          max: 10_080,
        }),
      },
      metrics: {
        heard: counter("Nodes that this node saw go."),
        reported: counter("Reports that this node made."),
      },
      setup({ counts, ...host }, { reportTo, everyMinutes }) {
        const settings = { reportTo: addressIn(reportTo), everyMinutes };
        const watch = new NightWatch(host, counts, kit, settings);
        return [
          on("nodeDown", (node) => watch.gone(node)),
          on("senior", () => watch.seniorChanged()),
          on("stopping", () => watch.stop()),
          task(COUNT, () => watch.count()),
          command("urn:example:night-watch", {
            name: "Count the sessions of each node",
            access: "administrators",
            run: async () => ({
              result: [{ name: "nodes", type: "text-multi", values: await watch.lines() }],
            }),
          }),
        ];
      },
    });
  },
} satisfies ExternalModule;
