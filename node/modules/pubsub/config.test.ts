import { describe, expect, test } from "vitest";
import { StanzaError } from "../../stanza/error.ts";
import type { FilledForm } from "../../stanza/form.ts";
import { seeded } from "../testing/weather.ts";
import type { NodeConfig } from "./config.ts";
import {
  decodeConfig,
  encodeConfig,
  fieldsOf,
  meets,
  readChanges,
  unknownField,
} from "./config.ts";

const LIMITS = { itemsMax: 50, payloadBytesMax: 5_000 };
const PLAIN: NodeConfig = {
  title: "",
  description: "",
  type: "",
  accessModel: "presence",
  publishModel: "publishers",
  rosterGroups: [],
  persistItems: true,
  maxItems: 1,
  maxPayloadBytes: 5_000,
  sendLast: "never",
  deliverNotifications: true,
  deliverPayloads: true,
  notifyRetract: false,
  notifyDelete: false,
  notifyConfig: false,
  notificationType: "headline",
  presenceBasedDelivery: true,
};

const form = (fields: Record<string, string | readonly string[]>): FilledForm => ({
  type: "submit",
  formType: "",
  fields: new Map(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === "string" ? [value] : value,
    ]),
  ),
});
const formOf = (config: NodeConfig): FilledForm =>
  form(Object.fromEntries(fieldsOf(config).map(({ name, values }) => [name, values])));

function someConfig(fraction: () => number): NodeConfig {
  const pick = <T>(...values: readonly T[]): T =>
    values[Math.floor(fraction() * values.length)] as T;
  return {
    title: pick("", "Title", "<&'\">"),
    description: pick("", "x".repeat(1_023)),
    type: pick("", "urn:thing"),
    accessModel: pick("open", "presence", "roster", "authorize", "whitelist"),
    publishModel: pick("publishers", "subscribers", "open"),
    rosterGroups: pick<readonly string[]>([], ["a"], ["a", "b c"]),
    persistItems: pick(true, false),
    maxItems: pick<number | "max">(1, 49, "max"),
    maxPayloadBytes: pick(1, 4_999),
    sendLast: pick("never", "on_sub", "on_sub_and_presence"),
    deliverNotifications: pick(true, false),
    deliverPayloads: pick(true, false),
    notifyRetract: pick(true, false),
    notifyDelete: pick(true, false),
    notifyConfig: pick(true, false),
    notificationType: pick("normal", "headline", "chat"),
    presenceBasedDelivery: pick(true, false),
  };
}

describe("for any configuration", () => {
  const fraction = seeded(60);
  const pairs = Array.from(
    { length: 300 },
    () => [someConfig(fraction), someConfig(fraction)] as const,
  );

  test("its form says all of it, and its stored text too", () => {
    for (const [config] of pairs) {
      expect({ ...PLAIN, ...readChanges(formOf(config), LIMITS) }).toEqual(config);
      expect(decodeConfig(encodeConfig(config), PLAIN)).toEqual(config);
    }
  });

  test("a node meets exactly the configuration it has", () => {
    for (const [config, other] of pairs) {
      expect(meets(config, formOf(config), LIMITS)).toBe(true);
      const isSame = JSON.stringify(config) === JSON.stringify(other);
      expect(meets(config, formOf(other), LIMITS)).toBe(isSame);
      const changed = { ...config, ...readChanges(formOf(other), LIMITS) };
      expect(meets(changed, formOf(other), LIMITS)).toBe(true);
    }
  });

  test("each field counts by itself", () => {
    for (const [config, other] of pairs) {
      for (const { name, values } of fieldsOf(other)) {
        const mine = fieldsOf(config).find((field) => field.name === name)?.values;
        const isSame = JSON.stringify(mine) === JSON.stringify(values);
        expect(meets(config, form({ [name]: values }), LIMITS), name).toBe(isSame);
      }
    }
  });
});

test("`max` is what the service allows, by whatever name", () => {
  expect(meets({ ...PLAIN, maxItems: "max" }, form({ "pubsub#max_items": "50" }), LIMITS)).toBe(
    true,
  );
  expect(meets({ ...PLAIN, maxItems: 50 }, form({ "pubsub#max_items": "max" }), LIMITS)).toBe(true);
  expect(meets({ ...PLAIN, maxItems: 49 }, form({ "pubsub#max_items": "max" }), LIMITS)).toBe(
    false,
  );
});

test("true and 1 are the same", () => {
  expect(meets(PLAIN, form({ "pubsub#persist_items": "true" }), LIMITS)).toBe(true);
  expect(readChanges(form({ "pubsub#persist_items": "false" }), LIMITS)).toEqual({
    persistItems: false,
  });
});

test("an unknown field is no change, and nothing that a node could meet", () => {
  const unknown = form({ "pubsub#colour": "red" });
  expect(readChanges(unknown, LIMITS)).toEqual({});
  expect(meets(PLAIN, unknown, LIMITS)).toBe(false);
  expect(unknownField(unknown)).toBe("pubsub#colour");
  expect(unknownField(form({ "pubsub#title": "x" }))).toBeUndefined();
});

test("a stored configuration that lacks a field has its default", () => {
  expect(decodeConfig('{"title":"old"}', PLAIN)).toEqual({ ...PLAIN, title: "old" });
});

describe("what is refused", () => {
  test.each([
    ["pubsub#max_items", "0", "bad-request"],
    ["pubsub#max_items", "-1", "bad-request"],
    ["pubsub#max_items", "1.5", "bad-request"],
    ["pubsub#max_items", "", "bad-request"],
    ["pubsub#max_items", "51", "not-acceptable"],
    ["pubsub#max_payload_size", "5001", "not-acceptable"],
    ["pubsub#max_payload_size", "none", "bad-request"],
    ["pubsub#persist_items", "maybe", "bad-request"],
    ["pubsub#access_model", "secret", "not-acceptable"],
    ["pubsub#publish_model", "nobody", "bad-request"],
    ["pubsub#send_last_published_item", "always", "bad-request"],
    ["pubsub#title", "x".repeat(1_024), "bad-request"],
    ["pubsub#roster_groups_allowed", "x".repeat(1_024), "bad-request"],
  ])("%s %s: %s", (name, value, condition) => {
    expect(() => readChanges(form({ [name]: value }), LIMITS)).toThrow(StanzaError);
    expect(() => readChanges(form({ [name]: value }), LIMITS)).toThrow(
      expect.objectContaining({ condition }),
    );
  });
});
