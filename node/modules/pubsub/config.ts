/**
 * The configuration of a node (XEP-0060, 8.2 and 16.4.4): each field declared once, read from forms
 * and written to them. What is stored is what differs from nothing: all fields, as JSON.
 */

import { StanzaError } from "../../stanza/error.ts";
import type { Choice, Field, FilledForm } from "../../stanza/form.ts";
import { refused } from "./errors.ts";

export type AccessModel = "open" | "presence" | "roster" | "authorize" | "whitelist";

export interface NodeConfig {
  readonly title: string;
  readonly description: string;
  /** The namespace of payloads, "" for any. */
  readonly type: string;
  readonly accessModel: AccessModel;
  readonly publishModel: "publishers" | "subscribers" | "open";
  readonly rosterGroups: readonly string[];
  readonly persistItems: boolean;
  readonly maxItems: number | "max";
  readonly maxPayloadBytes: number;
  readonly sendLast: "never" | "on_sub" | "on_sub_and_presence";
  readonly deliverNotifications: boolean;
  readonly deliverPayloads: boolean;
  readonly notifyRetract: boolean;
  readonly notifyDelete: boolean;
  readonly notifyConfig: boolean;
  readonly notificationType: "normal" | "headline" | "chat";
  readonly presenceBasedDelivery: boolean;
}

/** What the service allows at most. */
export interface ConfigLimits {
  readonly itemsMax: number;
  readonly payloadBytesMax: number;
}

interface Declared<T> {
  readonly name: string;
  readonly type: string;
  readonly label: string;
  readonly choices?: readonly Choice[];
  /** Undefined when the values mean nothing here. */
  readonly read: (values: readonly string[], limits: ConfigLimits) => T | undefined;
  readonly write: (value: T) => readonly string[];
}

const TEXT_LENGTH_MAX = 1_023;
const GROUPS_MAX = 100;

const booleans: Readonly<Record<string, boolean>> = { 0: false, 1: true, false: false, true: true };

const flag = (name: string, label: string): Declared<boolean> => ({
  name,
  label,
  type: "boolean",
  read: ([value = ""]) => (Object.hasOwn(booleans, value) ? booleans[value] : undefined),
  write: (value) => [value ? "1" : "0"],
});

const text = (name: string, label: string): Declared<string> => ({
  name,
  label,
  type: "text-single",
  read: ([value = ""]) => (value.length > TEXT_LENGTH_MAX ? undefined : value),
  write: (value) => [value],
});

const choice = <T extends string>(
  name: string,
  label: string,
  values: readonly T[],
): Declared<T> => ({
  name,
  label,
  type: "list-single",
  choices: values.map((value) => ({ value })),
  read: ([value]) => values.find((one) => one === value),
  write: (value) => [value],
});

const positive = (value: string | undefined): number | undefined =>
  value !== undefined && /^[1-9]\d{0,8}$/.test(value) ? Number(value) : undefined;

const FIELDS: { readonly [Key in keyof NodeConfig]: Declared<NodeConfig[Key]> } = {
  title: text("pubsub#title", "A name for the node"),
  description: text("pubsub#description", "What the node is about"),
  type: text("pubsub#type", "The namespace of the payloads"),
  accessModel: choice("pubsub#access_model", "Who may subscribe and retrieve items", [
    "open",
    "presence",
    "roster",
    "authorize",
    "whitelist",
  ]),
  publishModel: choice("pubsub#publish_model", "Who may publish", [
    "publishers",
    "subscribers",
    "open",
  ]),
  rosterGroups: {
    name: "pubsub#roster_groups_allowed",
    label: "Roster groups that may subscribe",
    type: "list-multi",
    read: (values) =>
      values.length > GROUPS_MAX || values.some((value) => value.length > TEXT_LENGTH_MAX)
        ? undefined
        : [...new Set(values)].toSorted(),
    write: (value) => value,
  },
  persistItems: flag("pubsub#persist_items", "Keep items"),
  maxItems: {
    name: "pubsub#max_items",
    label: "How many items are kept",
    type: "text-single",
    read: ([value]) => (value === "max" ? "max" : positive(value)),
    write: (value) => [String(value)],
  },
  maxPayloadBytes: {
    name: "pubsub#max_payload_size",
    label: "The size of a payload in bytes",
    type: "text-single",
    read: ([value]) => positive(value),
    write: (value) => [String(value)],
  },
  sendLast: choice("pubsub#send_last_published_item", "When the last item is sent", [
    "never",
    "on_sub",
    "on_sub_and_presence",
  ]),
  deliverNotifications: flag("pubsub#deliver_notifications", "Tell of events"),
  deliverPayloads: flag("pubsub#deliver_payloads", "Tell of items with their payload"),
  notifyRetract: flag("pubsub#notify_retract", "Tell when items are removed"),
  notifyDelete: flag("pubsub#notify_delete", "Tell when the node is deleted"),
  notifyConfig: flag("pubsub#notify_config", "Tell when the configuration changes"),
  notificationType: choice("pubsub#notification_type", "The type of event messages", [
    "normal",
    "headline",
    "chat",
  ]),
  presenceBasedDelivery: flag(
    "pubsub#presence_based_delivery",
    "Tell subscribers of events only while they are available",
  ),
};

const KEYS = Object.keys(FIELDS) as (keyof NodeConfig)[];
const KEY_OF = new Map(KEYS.map((key) => [FIELDS[key].name, key]));

type Changes = Partial<Record<keyof NodeConfig, unknown>>;

/**
 * What a form wants changed. Fields that are no field here are left aside (XEP-0004, 3.2).
 * @throws StanzaError for a value that means nothing, or is more than the service allows
 */
export function readChanges(form: FilledForm, limits: ConfigLimits): Partial<NodeConfig> {
  const changes: Changes = {};
  for (const [name, values] of form.fields) {
    const key = KEY_OF.get(name);
    if (key === undefined) continue;
    const value = FIELDS[key].read(values, limits);
    if (value === undefined) {
      if (key === "accessModel") throw refused("not-acceptable", "unsupported-access-model");
      throw refused("bad-request", "invalid-options");
    }
    changes[key] = value;
  }
  const wanted = changes as Partial<NodeConfig>;
  if (Number(wanted.maxItems ?? 0) > limits.itemsMax) throw tooMuch("items", limits.itemsMax);
  if ((wanted.maxPayloadBytes ?? 0) > limits.payloadBytesMax) {
    throw tooMuch("bytes in a payload", limits.payloadBytesMax);
  }
  return wanted;
}

const tooMuch = (what: string, most: number): StanzaError =>
  new StanzaError("not-acceptable", `Cannot configure node: ${most} ${what} are the most`);

/** 7.1.5: whether a node is as `form`, taken as preconditions, says. */
export function meets(config: NodeConfig, form: FilledForm, limits: ConfigLimits): boolean {
  return [...form.fields].every(([name, values]) => {
    const key = KEY_OF.get(name);
    if (key === undefined) return false;
    const wanted = FIELDS[key].read(values, limits);
    if (wanted === undefined) return false;
    if (key === "maxItems") {
      return (
        itemsMaxOf({ ...config, maxItems: wanted as NodeConfig["maxItems"] }, limits) ===
        itemsMaxOf(config, limits)
      );
    }
    return JSON.stringify(wanted) === JSON.stringify(config[key]);
  });
}

/** 7.1.5: the first field that is no field here; a node cannot be made to meet it. */
export const unknownField = (form: FilledForm): string | undefined =>
  [...form.fields.keys()].find((name) => !KEY_OF.has(name));

/** How many items a node keeps: none unless it is persistent. */
export const itemsMaxOf = (
  { maxItems }: Pick<NodeConfig, "maxItems">,
  { itemsMax }: ConfigLimits,
): number => (maxItems === "max" ? itemsMax : Math.min(maxItems, itemsMax));

/** The fields of a form that shows a configuration. */
export const fieldsOf = (config: NodeConfig): readonly Field[] =>
  KEYS.map((key) => {
    const { name, type, label, choices, write } = FIELDS[key] as Declared<unknown>;
    const values = write(config[key]);
    return { name, type, label, values, ...(choices === undefined ? {} : { choices }) };
  });

/** What may be known of a node by everybody who may know it (5.4). */
export const publicFieldsOf = (config: NodeConfig): readonly Field[] =>
  fieldsOf(config)
    .filter(({ name, values }) => PUBLIC.has(name) && values.some((value) => value !== ""))
    .map(({ name, type = "text-single", label = "", values }) => ({ name, type, label, values }));

const PUBLIC: ReadonlySet<string> = new Set(
  (["title", "description", "type", "accessModel", "publishModel", "maxItems"] as const).map(
    (key) => FIELDS[key].name,
  ),
);

export const encodeConfig = (config: NodeConfig): string => JSON.stringify(config);

/** A field that was not known when the node was stored has its default. */
export const decodeConfig = (stored: string, defaults: NodeConfig): NodeConfig => ({
  ...defaults,
  ...(JSON.parse(stored) as Partial<NodeConfig>),
});
