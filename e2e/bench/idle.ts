/**
 * Memory of sessions that do nothing. Sessions need a minute to come to rest, so the next server is
 * filled while the last one rests: memory does not depend on who else is busy.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { progress } from "../harness/progress.ts";
import { ROSTER } from "./population.ts";
import type { Scene, SceneOptions } from "./scene.ts";
import { withScene } from "./scene.ts";
import type { ServerName } from "./servers.ts";
import { memoryKib } from "./usage.ts";

/** Smaller than the usual roster: 30,000 accounts with full ones would take minutes to store. */
const IDLE_ROSTER = ROSTER / 5;
/** Messages that each session sends and receives, about, before it counts as used. */
const USE_SECONDS = 5;
/** Of the seconds of rest, after use. */
const CALM_PART = 0.25;

/** The proxy needs two descriptors for each; more would wait for ever. */
const PROXIED_MAX = 9_000;

/** Lets one at a time through. */
function turnstile(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work);
    last = mine.catch(() => undefined);
    return mine;
  };
}

async function use(scene: Scene, size: number): Promise<void> {
  const partners = Array.from({ length: size }, (_, at) => at ^ 1);
  await scene.order({ kind: "chat", users: { group: "u", from: 0, to: size }, partners });
  await sleep(USE_SECONDS * 1_000);
  await scene.order({ kind: "rest" });
}

export async function idleSessions(
  servers: readonly ServerName[],
  base: Pick<SceneOptions, "sheet" | "settings">,
): Promise<void> {
  const { sheet, settings } = base;
  const { idleSessions, idleSeconds } = settings;
  const alone = turnstile();
  const measure = async (name: ServerName, tls: boolean) => {
    const size = name === "proxied" ? Math.min(idleSessions, PROXIED_MAX) : idleSessions;
    const enter = Promise.withResolvers<Scene>();
    const leave = Promise.withResolvers<void>();
    const options = { ...base, name, archive: false };
    const whole = alone(async () => {
      const over = withScene(
        { ...options, size: { users: size, contacts: IDLE_ROSTER } },
        (scene) => {
          enter.resolve(scene);
          return leave.promise;
        },
      );
      over.catch(enter.reject);
      const scene = await enter.promise;
      const atStart = memoryKib(scene.peer);
      if (!tls) sheet.put(name, "memoryStart", atStart / 1_024);
      const done = progress(`${name}: ${size} sessions${tls ? " over TLS" : ""}`);
      await scene.connect({ group: "u", from: 0, to: size }, tls);
      done();
      return { over, scene, atStart };
    });
    const { over, scene, atStart } = await whole;
    const perSession = () => (memoryKib(scene.peer) - atStart) / size;
    try {
      await sleep(idleSeconds * 1_000);
      sheet.put(name, tls ? "idleTls" : "idlePlain", perSession());
      await alone(() => use(scene, size));
      await sleep(CALM_PART * idleSeconds * 1_000);
      sheet.put(name, tls ? "usedTls" : "usedPlain", perSession());
    } finally {
      leave.resolve();
      await over;
    }
  };
  const runs = servers.flatMap((name) => [measure(name, false), measure(name, true)]);
  await Promise.all(runs);
}
