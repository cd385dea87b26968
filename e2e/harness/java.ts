/** The Java that Cassandra 5.0 runs on: 17, nothing newer. */
import { existsSync } from "node:fs";
import path from "node:path";
import { run } from "./run.ts";
import { find, installPackages } from "./tools.ts";

const DEBIAN_PACKAGE = "openjdk-17-jre-headless";
const DEBIAN_FOLDERS = ["amd64", "arm64"].map((arch) => `/usr/lib/jvm/java-17-openjdk-${arch}`);

const candidates = (): readonly string[] =>
  [
    ...[process.env.JAVA_HOME, ...DEBIAN_FOLDERS].flatMap((home) =>
      home ? [path.join(home, "bin", "java")] : [],
    ),
    find("java"),
  ].filter((file) => file !== undefined && existsSync(file)) as string[];

async function isSeventeen(file: string): Promise<boolean> {
  try {
    const text = await run("sh", ["-c", '"$0" -XshowSettings:properties -version 2>&1', file]);
    return /java\.specification\.version = 17\b/.test(text);
  } catch {
    return false;
  }
}

async function search(): Promise<string | undefined> {
  for (const file of candidates()) if (await isSeventeen(file)) return file;
  return undefined;
}

/** The path of a Java 17, installed when missing. @throws Error saying what to install */
export async function java(): Promise<string> {
  const present = await search();
  if (present !== undefined) return present;
  await installPackages([DEBIAN_PACKAGE]);
  const installed = await search();
  if (installed !== undefined) return installed;
  throw new Error(`Cannot find Java 17: install it (Debian: apt-get install ${DEBIAN_PACKAGE})`);
}
