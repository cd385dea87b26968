import { Client } from "cassandra-driver";
import { expect, test } from "vitest";
import { controlOf, mendControl } from "./control.ts";

/** Never connected: only its way back is looked at. What it finds is taken away by another attempt. */
function overtaken() {
  const client = new Client({ contactPoints: ["127.0.0.1"], localDataCenter: "dc1" });
  const control = controlOf(client);
  const found = { connection: { endpointFriendlyName: "one" }, host: {} };
  Object.assign(control, {
    _refreshControlConnection: async () => Object.assign(control, found),
    _refreshHosts: async () => undefined,
    _registerToConnectionEvents: async () => {
      Object.assign(control, { connection: null, host: null });
    },
  });
  return { client, control };
}

test("the driver fails when it looks for its control connection twice at once: or mend nothing", async () => {
  await expect(overtaken().control._refresh([])).rejects.toThrow(TypeError);
});

test("of two attempts to find a control connection the first ends quietly", async () => {
  const { client, control } = overtaken();
  mendControl(client, undefined);
  await control._refresh([]);
});

test("what else fails there still does", async () => {
  const { client, control } = overtaken();
  control._refresh = () => Promise.reject(new Error("something else"));
  mendControl(client, undefined);
  await expect(control._refresh([])).rejects.toThrow("something else");
});
