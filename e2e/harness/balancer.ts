/** What stands before a cluster for clients: each connection goes to one of the nodes that serve. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";

export interface Balancer extends AsyncDisposable {
  readonly port: number;
}

/** @param ports of the nodes that take new connections, asked for at each one: they get it in turn */
export async function startBalancer(ports: () => readonly number[]): Promise<Balancer> {
  const sockets = new Set<{ destroy(): unknown }>();
  let turn = 0;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const serving = ports();
    turn += 1;
    const port = serving[turn % serving.length];
    if (port === undefined) {
      client.destroy();
      return;
    }
    const node = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    for (const [one, other] of [
      [client, node],
      [node, client],
    ] as const) {
      sockets.add(one);
      one.pipe(other);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of [...sockets]) socket.destroy();
    },
  };
}
