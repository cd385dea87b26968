/** For tests: the real API server that `npm test` started, and a namespace of the test's own. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../loop/clock.ts";
import type { Logger } from "../../loop/contract.ts";
import type { TokenAccess } from "../access.ts";
import { tokenAccess } from "../access.ts";
import type { KubeOptions } from "../client.ts";
import { KubeClient } from "../client.ts";
import type { KubeObject } from "../contract.ts";
import type { InformerMetrics } from "../informer.ts";
import { Rest } from "../rest.ts";

/** Where the server is. Throws when the tests were not started the right way. */
export function testServer(): TokenAccess {
  const { ZONDA_TEST_KUBE_SERVER, ZONDA_TEST_KUBE_TOKEN, ZONDA_TEST_KUBE_CA } = process.env;
  if (!ZONDA_TEST_KUBE_SERVER || !ZONDA_TEST_KUBE_TOKEN || !ZONDA_TEST_KUBE_CA) {
    throw new Error(
      "Cannot find the API server of the tests: run `npm test`, which starts one and sets " +
        "ZONDA_TEST_KUBE_SERVER, ZONDA_TEST_KUBE_TOKEN and ZONDA_TEST_KUBE_CA",
    );
  }
  const ca = readFileSync(ZONDA_TEST_KUBE_CA, "utf8");
  return { server: ZONDA_TEST_KUBE_SERVER, token: ZONDA_TEST_KUBE_TOKEN, ca };
}

/** A client, of the server or of a proxy before it. */
export function connect(to: TokenAccess = testServer(), options: Partial<KubeOptions> = {}) {
  const access = tokenAccess(to);
  const codes: string[] = [];
  const metrics = {
    request: (verb: string, _kind: string, code: string) => codes.push(`${verb} ${code}`),
  };
  const rest = new Rest(access, systemClock, metrics, "zonda-test");
  const kube = new KubeClient(rest, { fieldManager: "zonda-test", ...options });
  return { kube, rest, codes, close: () => access.close() };
}

/** Makes a namespace and returns its name. Without controllers nothing deletes one; it is small. */
export async function createNamespace(kube: KubeClient): Promise<string> {
  const name = `test-${randomBytes(5).toString("hex")}`;
  await kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
  return name;
}

export interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** The simplest object there is. */
export function configMap(
  namespace: string,
  name: string,
  data: Record<string, string> = {},
): ConfigMap {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name }, data };
}

export const silentLog: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
};

export const silentInformerMetrics: InformerMetrics = { relist() {}, watchFailure() {} };

/** Waits for a real server to come round. @throws Error with what was awaited and what was seen */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  limitMs = 60_000,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`Cannot see in ${limitMs} ms: ${what}`);
    await sleep(10);
  }
}
