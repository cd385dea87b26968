/** Free ports on loopback, below the ephemeral range so that no outgoing connection takes them. */
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { createServer } from "node:net";

const LOWEST = 20_000;
const HIGHEST = 32_767;

const isFree = (port: number, host: string): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });

/**
 * Until this process ends no other one is given it: its number is bound for UDP, which nobody here speaks.
 * @returns false when another has it
 */
const take = (port: number, host: string): Promise<boolean> =>
  new Promise((resolve) => {
    const mark = createSocket("udp4").unref();
    mark.once("error", () => mark.close(() => resolve(false)));
    mark.bind({ port, address: host, exclusive: true }, () => resolve(true));
  });

/** A port nothing listens on; never the same twice, be it in two processes. */
export async function freePort(host = "127.0.0.1"): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = randomInt(LOWEST, HIGHEST);
    if ((await take(port, host)) && (await isFree(port, host))) return port;
  }
  throw new Error(`Cannot find a free port on ${host}: 200 were tried`);
}
