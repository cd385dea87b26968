/** The Kubernetes suite: scenarios in order, on one cluster. See .ci/run and `npm run e2e`. */
import { afterAll, beforeAll, describe } from "vitest";
import { connectKubernetes } from "../harness/environment.ts";
import { chat } from "./scenarios/chat.ts";
import { install } from "./scenarios/install.ts";
import { loseANode } from "./scenarios/lose-a-node.ts";
import { proxy } from "./scenarios/proxy.ts";
import { scaleAndDelete } from "./scenarios/scale-and-delete.ts";
import { Scene } from "./scenarios/scene.ts";
import { upgrade } from "./scenarios/upgrade.ts";

let current: Scene;
const scene = (): Scene => current;

beforeAll(async () => {
  current = new Scene(await connectKubernetes());
});
afterAll(() => current[Symbol.asyncDispose]());

describe("install", () => install(scene));
describe("chat", () => chat(scene));
describe("upgrade", () => upgrade(scene));
describe("proxy", () => proxy(scene));
describe("lose a node", () => loseANode(scene));
describe("scale and delete", () => scaleAndDelete(scene));
