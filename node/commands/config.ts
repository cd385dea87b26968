/** `zonda config check` and `zonda config schema`. */
import { z } from "zod";
import { readConfiguration, readSchema } from "../configuration.ts";
import { externalIn } from "../external-modules.ts";
import { rehearse } from "../rehearsal.ts";
import type { Invocation } from "./invocation.ts";

export async function configCheck(invocation: Invocation): Promise<void> {
  const configuration = await readConfiguration(invocation);
  await rehearse(configuration);
  const { domains, store, routes } = configuration;
  const external = externalIn(configuration);
  console.log(
    `The configuration is good: ${domains.join(", ")} on ${store.engine} and ${routes.engine} routes` +
      (external.length > 0 ? `, with ${external.join(", ")}` : ""),
  );
}

export async function configSchema(invocation: Invocation): Promise<void> {
  const schema = await readSchema(invocation);
  console.log(JSON.stringify(z.toJSONSchema(schema, { io: "input" }), null, 2));
}
