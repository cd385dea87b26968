import { expect, test } from "vitest";
import { z } from "zod";
import { configurationSchema } from "./schema.ts";

const faultsOf = (components: unknown): string => {
  const result = configurationSchema({}).safeParse({ components });
  return result.success ? "" : z.prettifyError(result.error);
};

test.each(["127.0.0.1", "127.1.2.3", "::1", "localhost"])("%s may go without TLS", (host) => {
  expect(faultsOf({ host, port: 5347 })).toBe("");
});

test.each(["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.org"])("%s needs TLS", (host) => {
  expect(faultsOf({ host, port: 5347 })).toContain("is needed on any address but loopback");
  expect(faultsOf({ host, port: 5347, tls: true })).toBe("");
  expect(faultsOf({ host })).toBe("");
});

test("a component without a secret is refused", () => {
  expect(faultsOf({ domains: { "icq.example.org": {} } })).toContain(
    'components.domains["icq.example.org"].secret',
  );
  expect(faultsOf({ domains: { "icq.example.org": { secret: "" } } })).not.toBe("");
  expect(faultsOf({ domains: { "icq.example.org": { secret: "x" } } })).toBe("");
});
