import { expect, test } from "vitest";
import type { Offer } from "./offer.ts";
import { offerFor, offerHash, PASSWORD_MECHANISMS } from "./offer.ts";

const grounds = {
  isAnonymous: false,
  isCertified: false,
  hasSha512: true,
  allowed: PASSWORD_MECHANISMS,
};

test("the hash of an offer is the one of XEP-0474's example, in whatever order it was made", () => {
  const offer: Offer = {
    mechanisms: ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"],
    channelBindings: ["tls-server-end-point", "tls-exporter"],
  };
  expect(offerHash("sha1", offer)).toBe("G6k/rBLDqgOhRRaCuuatSDFkJ08=");
  const mechanisms = offer.mechanisms.toReversed();
  const channelBindings = offer.channelBindings.toReversed();
  expect(offerHash("sha1", { mechanisms, channelBindings })).toBe("G6k/rBLDqgOhRRaCuuatSDFkJ08=");
  expect(offerHash("sha1", { ...offer, channelBindings: [] })).not.toBe(offerHash("sha1", offer));
});

test("-PLUS is offered where there is a channel to bind to, SCRAM-SHA-512 to those who have keys", () => {
  expect(offerFor({ ...grounds, channelBindings: [] }).mechanisms).toEqual([
    "SCRAM-SHA-512",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1",
    "PLAIN",
  ]);
  const bound = { ...grounds, hasSha512: false, channelBindings: ["tls-exporter"] };
  expect(offerFor(bound)).toEqual({
    mechanisms: ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"],
    channelBindings: ["tls-exporter"],
  });
});

test("what is switched off is not offered, and -PLUS goes with it", () => {
  const channelBindings = ["tls-exporter"];
  const some = { ...grounds, channelBindings, allowed: ["SCRAM-SHA-256"] as const };
  expect(offerFor(some).mechanisms).toEqual(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
  expect(offerFor({ ...some, allowed: ["PLAIN"], isCertified: true }).mechanisms).toEqual([
    "EXTERNAL",
    "PLAIN",
  ]);
});
