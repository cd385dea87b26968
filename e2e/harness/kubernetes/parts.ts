/** The folder of one run, and starting a part of Kubernetes in it. */
import path from "node:path";
import type { Running } from "../process.ts";
import { startProcess } from "../process.ts";
import type { Identity } from "./identity.ts";
import type { Tunnel } from "./tunnel.ts";

export interface Site {
  /** Everything of this run is under it; its last part is also the namespace and cgroup name. */
  readonly folder: string;
  readonly name: string;
  /** Folder with the programs of Kubernetes. */
  readonly programs: string;
  readonly identity: Identity;
  readonly tunnel: Tunnel;
}

export interface Part {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

export const logOf = ({ folder }: Pick<Site, "folder">, name: string): string =>
  path.join(folder, "logs", `${name}.log`);

/** Starts a part in the namespace of the run, with its log in the run's folder. */
export const startPart = (site: Site, { name, command, args }: Part): Promise<Running> =>
  startProcess({
    name,
    command,
    args,
    log: logOf(site, name),
    netns: site.name,
    graceMs: 5_000,
  });

/** { "a-flag": "value" } -> --a-flag=value */
export const flags = (settings: Readonly<Record<string, string | number | boolean>>) =>
  Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
