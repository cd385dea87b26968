/** `zonda config check` and `zonda config schema`. */
import { z } from "zod";
import { readConfiguration, schema } from "../configuration.ts";
import type { Invocation } from "./invocation.ts";

export async function configCheck(invocation: Invocation): Promise<void> {
  const { domains, store, routes } = readConfiguration(invocation);
  console.log(
    `The configuration is good: ${domains.join(", ")} on ${store.engine} and ${routes.engine} routes`,
  );
}

export async function configSchema(): Promise<void> {
  console.log(JSON.stringify(z.toJSONSchema(schema, { io: "input" }), null, 2));
}
