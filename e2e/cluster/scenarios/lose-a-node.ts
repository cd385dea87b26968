/** 5. Nodes are deleted and killed: the others go on. */
import { expect, test } from "vitest";
import { eventually, LEASE_SECONDS, NAMESPACE, servingPods } from "../chat-cluster.ts";
import type { Scene } from "./scene.ts";
import { podDoor } from "./scene.ts";

const REPLICAS = 3;

/** Sends one message and waits for it. */
async function exchange(scene: Scene, id: string): Promise<void> {
  const romeo = await scene.login("slixmpp", "romeo");
  const juliet = await scene.login("xmpp.js", "juliet");
  romeo.do({ do: "message", to: juliet.address, id, body: id });
  await juliet.until("the message", ({ bodies }) => bodies.includes(id));
  await romeo[Symbol.asyncDispose]();
  await juliet[Symbol.asyncDispose]();
}

export function loseANode(scene: () => Scene): void {
  test("a deleted pod drains: its client logs in elsewhere and the cluster heals", async () => {
    const { kube } = scene();
    const [victim] = await scene().pods();
    const tybalt = await scene().login("slixmpp", "tybalt");
    await kube.kubectl(["delete", "pod", victim?.name ?? "", "-n", NAMESPACE, "--wait=false"]);
    await exchange(scene(), "after-delete");
    await eventually(
      "a replacement",
      120,
      () => servingPods(kube),
      (pods) => pods.length === REPLICAS && pods.every(({ name }) => name !== victim?.name),
    );
    await tybalt.untilOnline();
    await tybalt[Symbol.asyncDispose]();
  });

  test("a node killed with -9: its routes go within the lease, its client goes on elsewhere", async () => {
    const { kube } = scene();
    const [victim, other] = await scene().pods();
    const romeo = await scene().loginAt([podDoor(victim)], "slixmpp", "romeo");
    const juliet = await scene().loginAt([podDoor(other)], "xmpp.js", "juliet");
    const dead = await kube.incarnationOf(victim?.name ?? "");
    expect(await kube.routesOf(dead)).toBeGreaterThan(0);

    await kube.killNode(victim?.name ?? "");
    await eventually(
      "no routes of the dead node",
      LEASE_SECONDS + 10,
      () => kube.routesOf(dead),
      (count) => count === 0,
    );
    const isBack = (one: typeof romeo) => one.all("resumed").length + one.all("online").length > 1;
    await romeo.until("his session elsewhere", isBack, 60_000);
    juliet.do({ do: "message", to: romeo.address, id: "after-kill", body: "after-kill" });
    await romeo.until("the message", ({ bodies }) => bodies.includes("after-kill"));
    // His shadow goes on with his session until he resumes it.
    expect(juliet.all("presence").some(({ type }) => type === "unavailable")).toBe(false);
    await eventually(
      "all nodes back",
      120,
      () => servingPods(kube),
      (pods) => pods.length === REPLICAS,
    );
    await romeo[Symbol.asyncDispose]();
    await juliet[Symbol.asyncDispose]();
  });
}
