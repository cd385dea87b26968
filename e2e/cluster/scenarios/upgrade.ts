/**
 * 3. A version bump under way while people write: every node replaced, nothing acknowledged lost. The new
 * nodes have a proxy for TLS, too.
 */
import { expect, test } from "vitest";
import { Writers } from "../../clients/writers.ts";
import {
  CLUSTER,
  clusterStatus,
  eventually,
  listPods,
  NAMESPACE,
  servingPods,
} from "../chat-cluster.ts";
import type { Scene } from "./scene.ts";
import { DIRECT_TLS_PORT } from "./scene.ts";

const REPLICAS = 3;

export function upgrade(scene: () => Scene): void {
  test("a bump of spec.version replaces every node while people write, and loses nothing", async () => {
    const { kube } = scene();
    const [from, to] = kube.nodeImage.versions as [string, string];
    const before = new Set((await listPods(kube)).map(({ name }) => name));
    const romeo = await scene().login("slixmpp", "romeo", DIRECT_TLS_PORT);
    const juliet = await scene().login("xmpp.js", "juliet");
    const writers = new Writers([
      { from: romeo, to: juliet, label: "romeo" },
      { from: juliet, to: romeo, label: "juliet" },
    ]);

    await kube.kubectl([
      "patch",
      "xmppcluster",
      CLUSTER,
      "-n",
      NAMESPACE,
      "--type=merge",
      "-p",
      JSON.stringify({ spec: { version: to, tls: { endsAt: "Proxy" } } }),
    ]);
    let fewest = Number.POSITIVE_INFINITY;
    let wasMixed = false;
    await eventually(
      "the new version everywhere",
      300,
      async () => {
        const serving = await servingPods(kube);
        fewest = Math.min(fewest, serving.length);
        const versions = new Set(serving.map(({ version }) => version));
        wasMixed ||= versions.has(from) && versions.has(to);
        return clusterStatus(kube);
      },
      ({ version, phase }) => version === to && phase === "Ready",
    );
    const after = await eventually(
      "old pods gone",
      90,
      () => listPods(kube),
      (pods) => pods.every(({ name }) => !before.has(name)),
    );
    const findings = await writers.stop();

    expect(after).toHaveLength(REPLICAS);
    expect(after.every(({ version }) => version === to)).toBe(true);
    expect(fewest).toBeGreaterThanOrEqual(REPLICAS);
    expect(wasMixed).toBe(true);
    for (const { sent, lost, repeated, swapped } of findings) {
      expect(sent).toBeGreaterThan(100);
      expect({ lost, repeated, swapped }).toEqual({ lost: [], repeated: [], swapped: [] });
    }
    const moves = romeo.all("offline").length + juliet.all("offline").length;
    console.log(`upgrade: ${moves} reconnections, ${JSON.stringify(findings)}`);
    expect(moves).toBeGreaterThan(0);
    await romeo[Symbol.asyncDispose]();
    await juliet[Symbol.asyncDispose]();
  });
}
