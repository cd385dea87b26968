/** 4. TLS ends beside the node: who comes so is known by its own address, and moves on like others. */
import { expect, test } from "vitest";
import { Writers } from "../../clients/writers.ts";
import { eventually, listPods, NAMESPACE, servingPods } from "../chat-cluster.ts";
import type { Scene } from "./scene.ts";
import { C2S_PORT, DIRECT_TLS_PORT, podDoor } from "./scene.ts";

const REPLICAS = 3;

/** The addresses that logins failed from, as a node knows them. */
async function failedFrom({ kube }: Scene, pod: string): Promise<readonly string[]> {
  const log = await kube.kubectl(["logs", pod, "-c", "node", "-n", NAMESPACE]);
  return [...log.matchAll(/"address":"([^"]+)".*"login-failed"/g)].map(
    ([, address]) => `${address}`,
  );
}

export function proxy(scene: () => Scene): void {
  test("a node knows the address of who comes through its proxy", async () => {
    const [pod] = await scene().pods();
    const wrong = { password: "wrong" };
    for (const port of [C2S_PORT, DIRECT_TLS_PORT]) {
      const client = await scene().start("slixmpp", "romeo", [podDoor(pod, port)], wrong);
      await client.until("refusal", (one) => one.all("refused").length > 0);
      await client[Symbol.asyncDispose]();
    }
    const [direct, proxied] = await failedFrom(scene(), pod?.name ?? "");
    expect(direct).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
    expect(proxied).toBe(direct);
  });

  test("a pod goes while people write through its proxy, and nothing is lost", async () => {
    const { kube } = scene();
    const [victim] = await scene().pods();
    const service = { host: await scene().serviceAddress(), port: DIRECT_TLS_PORT };
    const hosts = [podDoor(victim, DIRECT_TLS_PORT), service];
    const romeo = await scene().loginAt(hosts, "slixmpp", "romeo");
    const juliet = await scene().login("xmpp.js", "juliet");
    // Without a TLS connection of its own the node has nothing to bind a login to.
    expect(romeo.all("authenticated").map(({ mechanism }) => mechanism)).toEqual(["SCRAM-SHA-512"]);
    const writers = new Writers([
      { from: romeo, to: juliet, label: "through" },
      { from: juliet, to: romeo, label: "back" },
    ]);
    await kube.kubectl(["delete", "pod", victim?.name ?? "", "-n", NAMESPACE, "--wait=false"]);
    const isBack = (one: typeof romeo) => one.all("resumed").length + one.all("online").length > 1;
    await romeo.until("his session elsewhere", isBack);
    // The node could still say so: its proxy ends after it.
    expect(romeo.all("stream-error").map(({ condition }) => condition)).toContain(
      "system-shutdown",
    );
    await eventually(
      "a replacement",
      120,
      () => servingPods(kube),
      (pods) => pods.length === REPLICAS && pods.every(({ name }) => name !== victim?.name),
    );
    // Well within the time it is given: its proxy does not wait to be killed.
    await eventually(
      "the end of its pod",
      20,
      () => listPods(kube),
      (pods) => pods.every(({ name }) => name !== victim?.name),
    );
    for (const { sent, lost, repeated, swapped } of await writers.stop()) {
      expect(sent).toBeGreaterThan(50);
      expect({ lost, repeated, swapped }).toEqual({ lost: [], repeated: [], swapped: [] });
    }
    await romeo[Symbol.asyncDispose]();
    await juliet[Symbol.asyncDispose]();
  });
}
