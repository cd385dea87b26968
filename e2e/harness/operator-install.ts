/** Installing the operator from this checkout's chart. */
import path from "node:path";
import type { Place } from "./environment-variables.ts";
import { helmProgram } from "./kubernetes/binaries.ts";
import { run } from "./run.ts";
import { find } from "./tools.ts";

const CHART = path.join(import.meta.dirname, "..", "..", "charts", "xmpp-operator");
export const RELEASE = "xmpp-operator";

const helmOf = async ({ helm }: Place): Promise<string> =>
  helm ?? find("helm") ?? path.join(await helmProgram(), "helm");

/** `helm upgrade --install` into a namespace; resolves once the operator is ready. */
export async function installOperator(place: Place, namespace: string): Promise<void> {
  const colon = place.operatorImage.lastIndexOf(":");
  const values = {
    "image.repository": place.operatorImage.slice(0, colon),
    "image.tag": place.operatorImage.slice(colon + 1),
  };
  // As text, because a tag may look like a number.
  const sets = Object.entries(values).flatMap(([k, v]) => ["--set-string", `${k}=${v}`]);
  const where = ["--namespace", namespace, "--create-namespace"];
  const args = ["upgrade", "--install", RELEASE, CHART, ...where, ...sets];
  await run(await helmOf(place), [...args, "--wait", "--timeout", "120s"], {
    environment: { KUBECONFIG: place.kubeconfig },
  });
}
