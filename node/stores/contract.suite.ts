/** What every engine must do: run by each engine's own test file over the real thing. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  accountNamesSuite,
  accountsSuite,
  deletionSuite,
  disablingSuite,
  domainSuite,
  keysSuite,
} from "./accounts.suite.ts";
import { archivePagingSuite, archiveSuite } from "./archive.suite.ts";
import type { Stores } from "./contract.ts";
import type { OpenedPair } from "./data.suite.ts";
import { concurrentDocumentsSuite, documentsSuite } from "./documents.suite.ts";
import { concurrentOfflineSuite, offlineRemovalSuite, offlineSuite } from "./offline.suite.ts";
import { concurrentPubsubSuite, pubsubItemsSuite, pubsubNodesSuite } from "./pubsub.suite.ts";
import {
  concurrentRosterSuite,
  rosterBoundsSuite,
  rostersSuite,
  versionsSuite,
} from "./rosters.suite.ts";
import { secretsSuite, tokensSuite } from "./tokens.suite.ts";

/** Declares the suite. @param open opens one more instance over the same data */
export function storesContract(open: () => Promise<Stores>): void {
  let pair: OpenedPair | undefined;
  const stores = (): OpenedPair => {
    if (pair === undefined) throw new Error("The stores are not open");
    return pair;
  };
  beforeAll(async () => {
    pair = { here: await open(), there: await open() };
  });
  afterAll(async () => {
    await pair?.here[Symbol.asyncDispose]();
    await pair?.there[Symbol.asyncDispose]();
  });
  test("ping resolves", async () => {
    await expect(stores().here.ping()).resolves.toBeUndefined();
  });
  describe("accounts", () => accountsSuite(stores));
  describe("keys of accounts", () => keysSuite(stores));
  describe("account names", () => accountNamesSuite(stores));
  describe("accounts that are disabled", () => disablingSuite(stores));
  describe("accounts of a domain", () => domainSuite(stores));
  describe("deletion", () => deletionSuite(stores));
  describe("rosters", () => rostersSuite(stores));
  describe("rosters at their bounds", () => rosterBoundsSuite(stores));
  describe("roster versions", () => versionsSuite(stores));
  describe("rosters under concurrent writers", () => concurrentRosterSuite(stores));
  describe("offline messages", () => offlineSuite(stores));
  describe("offline messages, removed", () => offlineRemovalSuite(stores));
  describe("offline messages under concurrent writers", () => concurrentOfflineSuite(stores));
  describe("archives", () => archiveSuite(stores));
  describe("pages of archives", () => archivePagingSuite(stores));
  describe("tokens", () => tokensSuite(stores));
  describe("secrets", () => secretsSuite(stores));
  describe("documents", () => documentsSuite(stores));
  describe("documents under concurrent writers", () => concurrentDocumentsSuite(stores));
  describe("pubsub nodes", () => pubsubNodesSuite(stores));
  describe("pubsub items", () => pubsubItemsSuite(stores));
  describe("pubsub under concurrent writers", () => concurrentPubsubSuite(stores));
}
