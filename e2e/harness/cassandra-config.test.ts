import { expect, test } from "vitest";
import { parse } from "yaml";
import { cassandraYaml, javaArguments } from "./cassandra-config.ts";

const SETTINGS = {
  folder: "/scratch/c",
  address: "127.0.0.1",
  cqlPort: 21_000,
  storagePort: 21_001,
  heapMb: 512,
  isShortLived: false,
  commitLog: "periodic",
} as const;

test("all of Cassandra's folders and ports are its own", () => {
  const config = parse(cassandraYaml(SETTINGS)) as Record<string, unknown>;
  const folders = Object.entries(config).filter(([key]) => /director(y|ies)$/.test(key));
  expect(folders).toHaveLength(5);
  for (const [, value] of folders) expect(String(value)).toMatch(/^\/scratch\/c\//);
  expect(config).toMatchObject({ native_transport_port: 21_000, storage_port: 21_001 });
});

test("a commit log that is written before the answer has no period", () => {
  const config = parse(cassandraYaml({ ...SETTINGS, commitLog: "batch" })) as object;
  expect(config).toMatchObject({ commitlog_sync: "batch" });
  expect(config).not.toHaveProperty("commitlog_sync_period"); // Cassandra refuses both together.
});

test("the heap is fixed and the class comes last", () => {
  const args = javaArguments(SETTINGS, "/jars", "jamm-1.jar");
  expect(args).toContain("-Xms512m");
  expect(args).toContain("-Xmx512m");
  expect(args.at(-1)).toBe("org.apache.cassandra.service.CassandraDaemon");
});

test("one that is often started again does not compile its code twice", () => {
  const [long, short] = [false, true].map((isShortLived) =>
    javaArguments({ ...SETTINGS, isShortLived }, "/jars", "jamm-1.jar"),
  );
  expect(long).not.toContain("-XX:TieredStopAtLevel=1");
  expect(short).toContain("-XX:TieredStopAtLevel=1");
});

test("a server that cannot write ends, and does not stay as one that answers nobody", () => {
  const config = parse(cassandraYaml(SETTINGS)) as object;
  expect(config).toMatchObject({ disk_failure_policy: "die", commit_failure_policy: "die" });
});
