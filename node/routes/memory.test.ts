import { describe } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { testRoutes } from "./contract.suite.ts";
import { openMemoryRoutes } from "./memory.ts";
import { Diary, makeNode } from "./testing/records.ts";

describe("memory", () => {
  const options = { self: makeNode(), events: new Diary(), clock: new FakeClock() };
  testRoutes(async (bounds) => openMemoryRoutes({ ...options, ...bounds }));
});
