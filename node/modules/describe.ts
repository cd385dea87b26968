/** What service discovery says of the server and of accounts, put together from all modules. */
import type { Element } from "../xml/element.ts";
import { el } from "../xml/element.ts";
import type { DiscoRegistration, Host, Identity } from "./contract.ts";

export type Told = Pick<Host, "features" | "disco" | "software">;

const own = (target: DiscoRegistration["target"], { software }: Told): Identity =>
  target === "server"
    ? { category: "server", type: "im", name: software.name }
    : { category: "account", type: "registered" };

/** The children of the answer to disco#info about the entity itself. */
export function describe(target: DiscoRegistration["target"], host: Told): readonly Element[] {
  const said = host.disco().filter((one) => one.target === target);
  const identities = [own(target, host), ...said.flatMap((one) => one.identities ?? [])];
  const features = new Set([...host.features(), ...said.flatMap((one) => one.features ?? [])]);
  return [
    ...identities.map(({ category, type, name }) => el("identity", { category, type, name })),
    ...[...features].toSorted().map((feature) => el("feature", { var: feature })),
    ...said.flatMap((one) => one.forms?.() ?? []),
  ];
}
