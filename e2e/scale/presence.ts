/** What it costs to tell many contacts of a change of presence, on one node and over three. */
import type { Figures } from "./figures.ts";
import { audiences } from "./people.ts";
import type { SiteName } from "./site.ts";
import { withWorld } from "./world.ts";

export interface PresenceSettings {
  readonly servers: readonly SiteName[];
  readonly seconds: number;
  /** Presences delivered in a second, whatever the size of the audience. */
  readonly rate: number;
  readonly sets: readonly string[];
}

const SIZES = [30, 1_000];

export async function presence(settings: PresenceSettings, figures: Figures): Promise<void> {
  for (const nodes of [1, 3]) {
    for (const server of settings.servers) await measure(server, nodes, settings, figures);
  }
}

async function measure(
  server: SiteName,
  nodes: number,
  { seconds, rate, sets }: PresenceSettings,
  figures: Figures,
): Promise<void> {
  const column = `${server}, ${nodes === 1 ? "one node" : `over ${nodes} nodes`}`;
  const accounts = audiences(SIZES);
  const options = { server, nodes, accounts, loadProcesses: 2, sets, figures };
  await withWorld(options, async (world) => {
    const target = { ports: world.ports, tls: false };
    const common = { kind: "connect", target, inFlight: 8, acks: false } as const;
    const everybody = { group: "c", from: 0, to: Math.max(...SIZES) };
    await world.order({ ...common, users: everybody });
    await world.order({ ...common, users: { group: "h", from: 0, to: SIZES.length } });
    for (const [at, size] of SIZES.entries()) {
      const users = { group: "h", from: at, to: at + 1 };
      const perSecond = rate / size;
      const pace = { kind: "pace", users, what: "presence", perSecond } as const;
      await world.order({ ...pace, seconds: 2, warmUpSeconds: 0 });
      const end = await world.meter();
      const { latenciesMs } = await world.order({ ...pace, seconds, warmUpSeconds: 0 });
      const { nodesMs } = await end();
      const what = `Presence to ${size}`;
      figures.put(`${what}, CPU µs each`, column, (nodesMs * 1_000) / (rate * seconds));
      figures.putTimes(what, column, latenciesMs, [0.5, 0.99]);
    }
  });
}
