/** Whatever goes wrong, when all is well again every node knows the same senior, and only it says "I". */
import { expect, test } from "vitest";
import { FAULT_KINDS } from "./faults.ts";
import { SimNode } from "./node.ts";
import type { Setting } from "./setting.ts";
import { tell } from "./story.ts";

/** Nodes that take part in who is the senior, and what they say of it when the story is over. */
async function seniorsAfter(seed: number) {
  const nodes: SimNode[] = [];
  class Candidate extends SimNode {
    constructor(machine: string, setting: Setting) {
      super(machine, setting);
      nodes.push(this);
    }

    override async start(): Promise<void> {
      await super.start();
      if (this.isAlive) this.parts.router?.start();
    }

    override async drain(): Promise<void> {
      await this.parts.router?.stop();
      await super.drain();
    }
  }
  const { broken, faults } = await tell(seed, FAULT_KINDS, false, [Candidate]);
  const alive = nodes.filter(({ isAlive }) => isAlive);
  const said = alive.map(({ machine, parts }) => ({ machine, ...parts.router?.cluster.senior }));
  return { broken, faults, said };
}

const SEEDS = Array.from({ length: 8 }, (_, index) => index + 1);

test.each(SEEDS)(
  "seed %i: all nodes agree who is the senior, and no claim has two holders",
  async (seed) => {
    const { broken, faults, said } = await seniorsAfter(seed);
    expect(broken.filter(({ invariant }) => invariant === "claims")).toEqual([]);
    expect(faults).toBeGreaterThan(0);
    const names = said.map(({ node }) => node?.incarnation);
    const [name] = names;
    expect(names).toEqual(said.map(() => name));
    expect(said.filter(({ isSelf }) => isSelf).map(({ machine }) => machine)).toEqual([name]);
  },
);
