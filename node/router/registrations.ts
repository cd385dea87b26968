/** What modules return from `setup` for the router, by kind. */
import type { CarriedRegistration } from "./carried.ts";
import type { CopyRegistration } from "./copies.ts";
import type { IqRegistration } from "./iq.ts";
import type { LifecycleRegistration } from "./lifecycle.ts";
import type { Owned, StageRegistration } from "./stages.ts";
import type { TaskRegistration } from "./tasks.ts";

export type Registration =
  | StageRegistration
  | IqRegistration
  | LifecycleRegistration
  | CarriedRegistration
  | CopyRegistration
  | TaskRegistration;

type Kind = Registration["kind"];
type OfKind<K extends Kind> = Extract<Registration, { kind: K }>;

/** Those of one kind, with their owners. */
export const ofKind = <K extends Kind>(
  registrations: readonly Owned<Registration>[],
  kind: K,
): readonly Owned<OfKind<K>>[] =>
  registrations.filter((one): one is Owned<OfKind<K>> => one.registration.kind === kind);
