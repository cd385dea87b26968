/** How costs grow while something becomes four and sixteen times as much. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Group } from "../load/contract.ts";
import { LARGER_ROSTER_USERS, LARGER_ROSTERS } from "./population.ts";
import * as scenarios from "./scenarios.ts";
import type { Scene } from "./scene.ts";
import type { GrownName, Level } from "./sheet.ts";
import { LEVELS } from "./sheet.ts";

const { users } = scenarios;

/** What grows, of what the bench measures. */
export interface Wanted {
  readonly presence: boolean;
  readonly roster: boolean;
}

/** Of a processor, for the logins of a few: the kernel counts in 10 ms. */
const CPU_MS_MIN = 1_000;
/** What the server does after a logout is not part of the next login. */
const AFTER_LOGOUT_MS = 100;
/** Users that chat while the number of accounts grows. */
const CHATTING = 32;

const put = (scene: Scene, name: GrownName, level: Level, value: number): void =>
  scene.sheet.put(scene.name, `${name}${level}`, value);

const halfOf = ({ settings }: Scene): number => settings.seconds / 2;

async function presenceAt(scene: Scene, name: GrownName, level: Level): Promise<void> {
  const stretch = await scenarios.repeat(scene, scenarios.CLIQUES, "presence", halfOf(scene));
  put(scene, name, level, scenarios.perPresenceUs(stretch));
}

async function pushesAt(scene: Scene, name: GrownName, level: Level): Promise<void> {
  const stretch = await scenarios.repeat(scene, scenarios.ROSTER_WRITERS, "roster", halfOf(scene));
  put(scene, name, level, scenarios.perPushUs(stretch));
}

async function historyAt(scene: Scene, name: GrownName, level: Level): Promise<void> {
  const readers = scenarios.HISTORY_READERS;
  const stretch = await scenarios.repeat(scene, readers, "history", halfOf(scene));
  put(scene, name, level, scenarios.perAnswerUs(stretch));
}

/** Everything that is measured with rosters of one size, while sessions become more. */
export async function bySessions(scene: Scene, wanted: Wanted): Promise<void> {
  const { sessions } = scene.settings;
  if (wanted.presence) await scene.connect(scenarios.CLIQUES, false);
  let online = 0;
  for (const level of LEVELS) {
    const size = (level * sessions) / 4;
    put(scene, "login", level, await scene.connect(users(size, online), false));
    online = size;
    const stretch = await scenarios.chat(scene, size, halfOf(scene));
    put(scene, "message", level, scenarios.perMessageUs(stretch));
    if (wanted.presence) await presenceAt(scene, "presenceBySessions", level);
    if (wanted.roster) await pushesAt(scene, "pushBySessions", level);
  }
  await scene.order({ kind: "disconnect" });
}

/** Logs them in and out again until that has cost enough to be counted; they are online in the end. */
async function loginsOf(scene: Scene, owners: Group): Promise<number> {
  const size = owners.to - owners.from;
  let [cost, rounds] = [0, 0];
  for (;;) {
    cost += await scene.connect(owners, false);
    rounds += 1;
    if (!(cost * size < CPU_MS_MIN)) return cost / rounds; // Also when none of them could log in.
    await scene.order({ kind: "disconnect" });
    await sleep(AFTER_LOGOUT_MS);
  }
}

/** Logins, changes of presence and of rosters of those who have many contacts, all online. */
export async function byRoster(scene: Scene, wanted: Wanted): Promise<void> {
  for (const [at, level] of LEVELS.entries()) {
    const size = LARGER_ROSTERS[at] as number;
    const owners = { group: `r${size}n`, from: 0, to: LARGER_ROSTER_USERS };
    put(scene, "roster", level, await loginsOf(scene, owners));
    if (wanted.roster) {
      const stretch = await scenarios.repeat(scene, owners, "roster", halfOf(scene));
      put(scene, "pushByRoster", level, scenarios.perPushUs(stretch));
    }
    if (wanted.presence) {
      await scene.connect({ group: `q${size}n`, from: 0, to: size }, false);
      const stretch = await scenarios.repeat(scene, owners, "presence", halfOf(scene));
      put(scene, "presenceByRoster", level, scenarios.perPresenceUs(stretch));
    }
    await scene.order({ kind: "disconnect" });
  }
}

/** With the archive on, after its own figures: more sessions write, as many read. */
export async function archiveBySessions(scene: Scene): Promise<void> {
  let online = 0;
  for (const level of LEVELS) {
    const size = (level * scene.settings.sessions) / 20;
    await scene.connect(users(size, online), false);
    online = size;
    const stretch = await scenarios.chat(scene, size, halfOf(scene));
    put(scene, "archivedBySessions", level, scenarios.perMessageUs(stretch));
    await historyAt(scene, "historyBySessions", level);
  }
  await scene.order({ kind: "disconnect" });
}

/** As many sessions as at the other levels, on a server with more accounts; the archive is on. */
export async function byUsers(scene: Scene, level: Level, wanted: Wanted): Promise<void> {
  await scene.connect(scenarios.ROSTER_WRITERS, false);
  const stretch = await scenarios.chat(scene, CHATTING, halfOf(scene));
  put(scene, "archivedByUsers", level, scenarios.perMessageUs(stretch));
  await historyAt(scene, "historyByUsers", level);
  if (wanted.roster) await pushesAt(scene, "pushByUsers", level);
  if (wanted.presence) {
    await scene.connect(scenarios.CLIQUES, false);
    await presenceAt(scene, "presenceByUsers", level);
  }
  await scene.order({ kind: "disconnect" });
}
